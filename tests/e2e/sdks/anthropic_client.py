"""Anthropic's SDK as its user has it, either major: does what it is told, line by line (see acting.py)."""

import time
from collections.abc import Callable
from typing import Any

import anthropic
from acting import DESCRIPTION, NUMBER_SCHEMA, TOOL, JsonObject, serve, told
from anthropic import Anthropic
from pydantic import BaseModel

MOST_TOKENS = 500


class Invoice(BaseModel):
    """What structured output is asked for."""

    sender: str
    total: float
    paid: bool


def say(client: Anthropic, model: str, text: str, **more: Any) -> Any:
    """Have a message answered."""
    message = client.messages.create(
        model=model,
        max_tokens=MOST_TOKENS,
        messages=[{"role": "user", "content": text}],
        **more,
    )
    usage = message.usage
    return {
        "text": _text(message),
        "finish": message.stop_reason,
        "usage": [usage.input_tokens, usage.output_tokens],
        "model": message.model,
        "request_id": message._request_id,
        "kind": message.type,
    }


def stream(client: Anthropic, model: str, text: str) -> Any:
    """Stream with the SDK's own helper; an error in the middle comes beside the texts."""
    said: JsonObject = {"texts": [], "raised": None, "finish": None, "usage": None}
    asked: Any = {"model": model, "max_tokens": MOST_TOKENS}
    try:
        with client.messages.stream(**asked, messages=[_user(text)]) as events:
            said["texts"] += events.text_stream
            final = events.get_final_message()
        said["finish"] = final.stop_reason
        said["usage"] = [final.usage.input_tokens, final.usage.output_tokens]
    except anthropic.AnthropicError as error:
        said["raised"] = told(error)
    return said


def use_tool(client: Anthropic, model: str, text: str, result: str) -> Any:
    """Have a tool called, give its result back, and return the call and the last words."""
    tools: Any = [{"name": TOOL, "description": DESCRIPTION, "input_schema": NUMBER_SCHEMA}]
    asked: Any = {"model": model, "max_tokens": MOST_TOKENS, "tools": tools}
    first = client.messages.create(
        **asked, messages=[_user(text)], tool_choice={"type": "tool", "name": TOOL}
    )
    call = next(block for block in first.content if block.type == "tool_use")
    answered = {"type": "tool_result", "tool_use_id": call.id, "content": result}
    turns: Any = [
        _user(text),
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [answered, {"type": "text", "text": f"then {text}"}]},
    ]
    last = client.messages.create(**asked, messages=turns)
    return {
        "name": call.name,
        "arguments": call.input,
        "finish": first.stop_reason,
        "text": _text(last),
    }


def structured(client: Anthropic, model: str, text: str) -> Any:
    """Have the answer as an object of a class."""
    message = client.messages.parse(
        model=model, max_tokens=MOST_TOKENS, messages=[_user(text)], output_format=Invoice
    )
    parsed = message.parsed_output
    return {"class": type(parsed).__name__, "parsed": parsed.model_dump() if parsed else None}


def look(client: Anthropic, model: str, text: str, png: str) -> Any:
    """Show a picture, in base64."""
    source: Any = {"type": "base64", "media_type": "image/png", "data": png}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": text}]
    message = client.messages.create(
        model=model, max_tokens=MOST_TOKENS, messages=[{"role": "user", "content": content}]
    )
    return {"text": _text(message)}


def count(client: Anthropic, model: str, text: str) -> Any:
    """Count tokens."""
    return client.messages.count_tokens(model=model, messages=[_user(text)]).input_tokens


def models(client: Anthropic) -> Any:
    """List the models, all pages."""
    return [each.id for each in client.models.list(limit=3)]


def model(client: Anthropic, name: str) -> Any:
    """Look one model up."""
    return client.models.retrieve(name).id


def batch(client: Anthropic, model: str, texts: dict[str, str]) -> Any:
    """Hand in a batch, wait for its end and bring its results home."""
    requests: Any = [
        {
            "custom_id": name,
            "params": {"model": model, "max_tokens": MOST_TOKENS, "messages": [_user(text)]},
        }
        for name, text in texts.items()
    ]
    made = client.messages.batches.create(requests=requests)
    until = time.monotonic() + 60
    while made.processing_status != "ended" and time.monotonic() < until:
        time.sleep(0.1)
        made = client.messages.batches.retrieve(made.id)
    found: JsonObject = {}
    for line in client.messages.batches.results(made.id):
        message = getattr(line.result, "message", None)
        error = getattr(line.result, "error", None)
        said = _text(message) if message else error and error.error.type
        found[line.custom_id] = [line.result.type, said]
    return {
        "id": made.id,
        "status": made.processing_status,
        "counts": made.request_counts.model_dump(),
        "results": found,
        "listed": [each.id for each in client.messages.batches.list(limit=1)][:50],
    }


def cancel_batch(client: Anthropic, model: str, texts: dict[str, str]) -> Any:
    """Hand in a batch and cancel it at once; return how it ends."""
    requests: Any = [
        {
            "custom_id": name,
            "params": {"model": model, "max_tokens": MOST_TOKENS, "messages": [_user(text)]},
        }
        for name, text in texts.items()
    ]
    made = client.messages.batches.create(requests=requests)
    cancelled = client.messages.batches.cancel(made.id)
    until = time.monotonic() + 60
    while made.processing_status != "ended" and time.monotonic() < until:
        time.sleep(0.1)
        made = client.messages.batches.retrieve(made.id)
    kinds = [line.result.type for line in client.messages.batches.results(made.id)]
    gone = client.messages.batches.delete(made.id)
    return {
        "at_once": cancelled.processing_status,
        "counts": made.request_counts.model_dump(),
        "kinds": kinds,
        "deleted": gone.type,
    }


def version(_client: Anthropic) -> Any:
    """Tell which SDK this is."""
    return anthropic.__version__


def _user(text: str) -> Any:
    return {"role": "user", "content": text}


def _text(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act
    for act in (
        batch,
        cancel_batch,
        count,
        look,
        model,
        models,
        say,
        stream,
        structured,
        use_tool,
        version,
    )
}


def opened(base_url: str, key: str, options: JsonObject) -> Anthropic:
    """Open a client with these options."""
    given = {"base_url": base_url, "api_key": key, "max_retries": 0, "timeout": 30, **options}
    return Anthropic(**given)


if __name__ == "__main__":
    serve(ACTS, opened=opened, raises=(anthropic.AnthropicError,))
