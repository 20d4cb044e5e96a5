"""OpenAI's SDK, either major, by chat completions: what every SDK's script can do (see acting.py)."""

import json
from collections.abc import Callable
from typing import Any

import openai
from acting import DESCRIPTION, NUMBER_SCHEMA, TOOL, JsonObject, serve, told
from openai import OpenAI
from pydantic import BaseModel


class Invoice(BaseModel):
    """What structured output is asked for."""

    sender: str
    total: float
    paid: bool


def say(client: OpenAI, model: str, text: str, **more: Any) -> Any:
    """Have a chat completed."""
    answer = client.chat.completions.create(model=model, messages=[_user(text)], **more)
    usage = answer.usage
    return {
        "text": answer.choices[0].message.content,
        "finish": answer.choices[0].finish_reason,
        "usage": usage and [usage.prompt_tokens, usage.completion_tokens],
        "model": answer.model,
        "request_id": answer._request_id,
    }


def stream(client: OpenAI, model: str, text: str) -> Any:
    """Stream; an error in the middle comes beside the texts."""
    said: JsonObject = {"texts": [], "raised": None, "finish": None, "usage": None}
    asked: Any = {"model": model, "stream_options": {"include_usage": True}}
    try:
        for chunk in client.chat.completions.create(**asked, messages=[_user(text)], stream=True):
            for choice in chunk.choices:
                said["texts"] += [choice.delta.content] if choice.delta.content else []
                said["finish"] = choice.finish_reason or said["finish"]
            if chunk.usage:
                said["usage"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
    except openai.OpenAIError as error:
        said["raised"] = told(error)
    return said


def use_tool(client: OpenAI, model: str, text: str, result: str) -> Any:
    """Have a tool called, give its result back, and return the call and the last words."""
    function = {"name": TOOL, "description": DESCRIPTION, "parameters": NUMBER_SCHEMA}
    asked: Any = {"model": model, "tools": [{"type": "function", "function": function}]}
    first = client.chat.completions.create(**asked, messages=[_user(text)], tool_choice="required")
    message: Any = first.choices[0].message
    call = message.tool_calls[0]
    answered = {"role": "tool", "tool_call_id": call.id, "content": result}
    turns: Any = [_user(text), message, answered, _user(f"then {text}")]
    last = client.chat.completions.create(**asked, messages=turns)
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "finish": first.choices[0].finish_reason,
        "text": last.choices[0].message.content,
    }


def structured(client: OpenAI, model: str, text: str) -> Any:
    """Have the answer as an object of a class."""
    answer = client.chat.completions.parse(
        model=model, messages=[_user(text)], response_format=Invoice
    )
    parsed = answer.choices[0].message.parsed
    return {"class": type(parsed).__name__, "parsed": parsed.model_dump() if parsed else None}


def look(client: OpenAI, model: str, text: str, png: str) -> Any:
    """Show a picture, in base64."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}}
    content: Any = [picture, {"type": "text", "text": text}]
    turns: Any = [{"role": "user", "content": content}]
    answer = client.chat.completions.create(model=model, messages=turns)
    return {"text": answer.choices[0].message.content}


def embed(client: OpenAI, model: str, texts: list[str], **more: Any) -> Any:
    """Have vectors made."""
    return [
        each.embedding for each in client.embeddings.create(model=model, input=texts, **more).data
    ]


def complete(client: OpenAI, model: str, prompt: str) -> Any:
    """Have a text completed, the old way."""
    answer = client.completions.create(model=model, prompt=prompt, max_tokens=100)
    return {"text": answer.choices[0].text, "finish": answer.choices[0].finish_reason}


def models(client: OpenAI) -> Any:
    """List the models, all pages."""
    return [each.id for each in client.models.list()]


def model(client: OpenAI, name: str) -> Any:
    """Look one model up."""
    return client.models.retrieve(name).id


def version(_client: OpenAI) -> Any:
    """Tell which SDK this is."""
    return openai.__version__


def _user(text: str) -> Any:
    return {"role": "user", "content": text}


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act
    for act in (complete, embed, look, model, models, say, stream, structured, use_tool, version)
}


def opened(base_url: str, key: str, options: JsonObject) -> OpenAI:
    """Open a client with these options."""
    given = {"base_url": base_url, "api_key": key, "max_retries": 0, "timeout": 30, **options}
    return OpenAI(**given)


if __name__ == "__main__":
    serve(ACTS, opened=opened, raises=(openai.OpenAIError,))
