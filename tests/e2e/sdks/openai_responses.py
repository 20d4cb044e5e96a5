"""OpenAI's SDK, either major, by responses: what every SDK's script can do, and the background (see acting.py)."""

import json
import time
from collections.abc import Callable
from typing import Any

import openai
from acting import DESCRIPTION, NUMBER_SCHEMA, TOOL, JsonObject, serve, told
from openai import OpenAI
from openai_chat import Invoice, model, models, opened, version

RUNNING = ("queued", "in_progress")


def say(client: OpenAI, model: str, text: str, **more: Any) -> Any:
    """Have an input answered."""
    answer = client.responses.create(model=model, input=text, **more)
    usage = answer.usage
    return {
        "text": answer.output_text,
        "finish": answer.status,
        "usage": usage and [usage.input_tokens, usage.output_tokens],
        "model": answer.model,
        "request_id": answer._request_id,
        "id": answer.id,
    }


def stream(client: OpenAI, model: str, text: str) -> Any:
    """Stream with the SDK's own helper; an error in the middle comes beside the texts."""
    said: JsonObject = {"texts": [], "raised": None, "finish": None, "usage": None, "kinds": []}
    try:
        with client.responses.stream(model=model, input=text) as events:
            for event in events:
                said["kinds"].append(event.type)
                if event.type == "response.output_text.delta":
                    said["texts"].append(event.delta)
            final = events.get_final_response()
        said["finish"] = final.status
        said["usage"] = final.usage and [final.usage.input_tokens, final.usage.output_tokens]
    except (openai.OpenAIError, RuntimeError) as error:
        said["raised"] = told(error)
    return said


def use_tool(client: OpenAI, model: str, text: str, result: str) -> Any:
    """Have a tool called, give its result back, and return the call and the last words."""
    tool = {"name": TOOL, "description": DESCRIPTION, "parameters": NUMBER_SCHEMA, "strict": False}
    asked: Any = {"model": model, "tools": [{"type": "function", **tool}]}
    first = client.responses.create(**asked, input=text, tool_choice="required")
    call: Any = next(item for item in first.output if item.type == "function_call")
    answered = {"type": "function_call_output", "call_id": call.call_id, "output": result}
    again: Any = [answered, {"role": "user", "content": f"then {text}"}]
    last = client.responses.create(**asked, input=again, previous_response_id=first.id)
    return {
        "name": call.name,
        "arguments": json.loads(call.arguments),
        "finish": first.status,
        "text": last.output_text,
    }


def structured(client: OpenAI, model: str, text: str) -> Any:
    """Have the answer as an object of a class."""
    parsed = client.responses.parse(model=model, input=text, text_format=Invoice).output_parsed
    return {"class": type(parsed).__name__, "parsed": parsed.model_dump() if parsed else None}


def look(client: OpenAI, model: str, text: str, png: str) -> Any:
    """Show a picture, in base64."""
    picture = {"type": "input_image", "image_url": f"data:image/png;base64,{png}", "detail": "auto"}
    content: Any = [picture, {"type": "input_text", "text": text}]
    turns: Any = [{"role": "user", "content": content}]
    return {"text": client.responses.create(model=model, input=turns).output_text}


def background(client: OpenAI, model: str, text: str) -> Any:
    """Begin in the background, leave, and ask until it is done."""
    made = client.responses.create(model=model, input=text, background=True)
    at_once = made.status
    until = time.monotonic() + 60
    while made.status in RUNNING and time.monotonic() < until:
        time.sleep(0.1)
        made = client.responses.retrieve(made.id)
    items = [item.type for item in client.responses.input_items.list(made.id)]
    client.responses.delete(made.id)
    return {"at_once": at_once, "status": made.status, "text": made.output_text, "items": items}


def resume(client: OpenAI, model: str, text: str, after: int) -> Any:
    """Stream in the background, leave after an event's number, and go on from there."""
    asked: Any = {"model": model, "input": text, "background": True, "stream": True}
    first: list[tuple[int, str]] = []
    response_id = ""
    for event in client.responses.create(**asked):
        first.append((event.sequence_number, event.type))
        response_id = getattr(getattr(event, "response", None), "id", "") or response_id
        if event.sequence_number == after:
            break
    rest = []
    texts = ""
    for event in client.responses.retrieve(response_id, stream=True, starting_after=after):
        rest.append((event.sequence_number, event.type))
        texts = getattr(getattr(event, "response", None), "output_text", "") or texts
    return {"first": first, "rest": rest, "text": texts}


def cancel(client: OpenAI, model: str, text: str) -> Any:
    """Begin in the background and cancel, twice."""
    made = client.responses.create(model=model, input=text, background=True)
    client.responses.cancel(made.id)
    again = client.responses.cancel(made.id)
    return {"status": again.status, "then": client.responses.retrieve(made.id).status}


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act
    for act in (
        background,
        cancel,
        look,
        model,
        models,
        resume,
        say,
        stream,
        structured,
        use_tool,
        version,
    )
}

if __name__ == "__main__":
    serve(ACTS, opened=opened, raises=(openai.OpenAIError,))
