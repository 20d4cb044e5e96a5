"""Mistral's SDK as its user has it: does what it is told, line by line (see acting.py)."""

import importlib.metadata
import json
import time
from collections.abc import Callable
from typing import Any

from acting import DESCRIPTION, NUMBER_SCHEMA, TOOL, JsonObject, serve, told
from mistralai.client import Mistral
from mistralai.client import errors as kinds
from pydantic import BaseModel

RAISED = (kinds.SDKError, kinds.HTTPValidationError, kinds.ResponseValidationError)


class Invoice(BaseModel):
    """What structured output is asked for."""

    sender: str
    total: float
    paid: bool


def say(client: Mistral, model: str, text: str, **more: Any) -> Any:
    """Have a chat completed."""
    answer = client.chat.complete(model=model, messages=[_user(text)], **more)
    choice, usage = answer.choices[0], answer.usage
    return {
        "text": choice.message.content,
        "finish": str(choice.finish_reason),
        "usage": [usage.prompt_tokens, usage.completion_tokens],
        "model": answer.model,
    }


def stream(client: Mistral, model: str, text: str) -> Any:
    """Stream; an error in the middle comes beside the texts."""
    said: JsonObject = {"texts": [], "raised": None, "finish": None, "usage": None}
    try:
        with client.chat.stream(model=model, messages=[_user(text)]) as events:
            for event in events:
                _add(said, event.data)
    except RAISED as error:
        said["raised"] = told(error)
    return said


def use_tool(client: Mistral, model: str, text: str, result: str) -> Any:
    """Have a tool called, give its result back, and return the call and the last words."""
    function = {"name": TOOL, "description": DESCRIPTION, "parameters": NUMBER_SCHEMA}
    tools: Any = [{"type": "function", "function": function}]
    first = client.chat.complete(
        model=model, messages=[_user(text)], tools=tools, tool_choice="any"
    )
    message = first.choices[0].message
    call = message.tool_calls[0]
    arguments = call.function.arguments
    answered = {"role": "tool", "tool_call_id": call.id, "name": TOOL, "content": result}
    turns: Any = [_user(text), message, answered, _user(f"then {text}")]
    last = client.chat.complete(model=model, messages=turns, tools=tools)
    return {
        "name": call.function.name,
        "arguments": json.loads(arguments) if isinstance(arguments, str) else arguments,
        "finish": str(first.choices[0].finish_reason),
        "text": last.choices[0].message.content,
    }


def structured(client: Mistral, model: str, text: str) -> Any:
    """Have the answer as an object of a class."""
    answer = client.chat.parse(Invoice, model=model, messages=[_user(text)])
    parsed = answer.choices[0].message.parsed
    return {"class": type(parsed).__name__, "parsed": parsed.model_dump() if parsed else None}


def look(client: Mistral, model: str, text: str, png: str) -> Any:
    """Show a picture, in base64."""
    picture = {"type": "image_url", "image_url": f"data:image/png;base64,{png}"}
    content: Any = [picture, {"type": "text", "text": text}]
    answer = client.chat.complete(model=model, messages=[{"role": "user", "content": content}])
    return {"text": answer.choices[0].message.content}


def embed(client: Mistral, model: str, texts: list[str]) -> Any:
    """Have vectors made."""
    return [each.embedding for each in client.embeddings.create(model=model, inputs=texts).data]


def models(client: Mistral) -> Any:
    """List the models."""
    return [each.id for each in client.models.list().data or []]


def model(client: Mistral, name: str) -> Any:
    """Look one model up."""
    return client.models.retrieve(model_id=name).id


def batch(client: Mistral, model: str, texts: dict[str, str]) -> Any:
    """Upload a batch's lines, hand it in, wait for its end and bring its results home."""
    rows = [
        {"custom_id": name, "body": {"max_tokens": 100, "messages": [_user(text)]}}
        for name, text in texts.items()
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file: Any = {"file_name": "lines.jsonl", "content": content}
    uploaded = client.files.upload(file=file, purpose="batch")
    made = client.batch.jobs.create(
        input_files=[uploaded.id], model=model, endpoint="/v1/chat/completions"
    )
    until = time.monotonic() + 60
    while made.status in ("QUEUED", "RUNNING") and time.monotonic() < until:
        time.sleep(0.1)
        made = client.batch.jobs.get(job_id=made.id)
    raw = client.files.download(file_id=made.output_file).read() if made.output_file else b""
    lines = [json.loads(line) for line in raw.splitlines()]
    found = {
        line["custom_id"]: line["response"]["body"]["choices"][0]["message"]["content"]
        for line in lines
    }
    return {
        "id": made.id,
        "status": str(made.status),
        "counts": [made.total_requests, made.succeeded_requests, made.failed_requests],
        "results": found,
        "listed": [each.id for each in client.batch.jobs.list(page_size=5).data or []],
    }


def version(_client: Mistral) -> Any:
    """Tell which SDK this is."""
    return importlib.metadata.version("mistralai")


def _user(text: str) -> Any:
    return {"role": "user", "content": text}


def _add(said: JsonObject, chunk: Any) -> None:
    for choice in chunk.choices:
        said["texts"] += [choice.delta.content] if choice.delta.content else []
        said["finish"] = choice.finish_reason or said["finish"]
    if chunk.usage:
        said["usage"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act
    for act in (batch, embed, look, model, models, say, stream, structured, use_tool, version)
}


def opened(base_url: str, key: str, options: JsonObject) -> Mistral:
    """Open a client with these options."""
    return Mistral(**{"server_url": base_url, "api_key": key, "timeout_ms": 30_000, **options})


if __name__ == "__main__":
    serve(ACTS, opened=opened, raises=RAISED)
