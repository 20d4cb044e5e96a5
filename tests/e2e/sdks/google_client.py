"""Google's SDK as its user has it, either major: does what it is told, line by line (see acting.py)."""

import base64
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from acting import DESCRIPTION, NUMBER_SCHEMA, TOOL, JsonObject, serve, told
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

WAITING = ("JOB_STATE_PENDING", "JOB_STATE_RUNNING")


class Invoice(BaseModel):
    """What structured output is asked for."""

    sender: str
    total: float
    paid: bool


def say(client: genai.Client, model: str, text: str, **more: Any) -> Any:
    """Have contents answered."""
    config = types.GenerateContentConfig(**more)
    answer = client.models.generate_content(model=model, contents=text, config=config)
    usage = answer.usage_metadata
    return {
        "text": answer.text,
        "finish": _finish(answer),
        "usage": usage and [usage.prompt_token_count, usage.candidates_token_count],
        "model": answer.model_version,
    }


def stream(client: genai.Client, model: str, text: str) -> Any:
    """Stream; an error in the middle comes beside the texts."""
    said: JsonObject = {"texts": [], "raised": None, "finish": None, "usage": None}
    try:
        for chunk in client.models.generate_content_stream(model=model, contents=text):
            said["texts"] += [chunk.text] if chunk.text else []
            said["finish"] = _finish(chunk) or said["finish"]
            if chunk.usage_metadata:
                usage = chunk.usage_metadata
                said["usage"] = [usage.prompt_token_count, usage.candidates_token_count]
    except (errors.APIError, errors.UnknownApiResponseError) as error:
        said["raised"] = _raised(error)
    return said


def use_tool(client: genai.Client, model: str, text: str, result: str) -> Any:
    """Have a tool called, give its result back, and return the call and the last words."""
    declared: Any = {
        "name": TOOL,
        "description": DESCRIPTION,
        "parameters_json_schema": NUMBER_SCHEMA,
    }
    tools: Any = [types.Tool(function_declarations=[types.FunctionDeclaration(**declared)])]
    calling: Any = {"mode": "ANY", "allowed_function_names": [TOOL]}
    must = types.GenerateContentConfig(
        tools=tools,
        tool_config=types.ToolConfig(
            function_calling_config=types.FunctionCallingConfig(**calling)
        ),
    )
    asked = types.Content(role="user", parts=[types.Part(text=text)])
    first = client.models.generate_content(model=model, contents=[asked], config=must)
    call = (first.function_calls or [])[0]
    answered: Any = types.FunctionResponse(id=call.id, name=call.name, response={"result": result})
    again = types.Content(
        role="user",
        parts=[types.Part(function_response=answered), types.Part(text=f"then {text}")],
    )
    said = (first.candidates or [])[0].content
    turns: Any = [asked, said, again]
    may = types.GenerateContentConfig(tools=tools)
    last = client.models.generate_content(model=model, contents=turns, config=may)
    return {
        "name": call.name,
        "arguments": call.args,
        "finish": _finish(first),
        "text": last.text,
    }


def structured(client: genai.Client, model: str, text: str) -> Any:
    """Have the answer as an object of a class."""
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_schema=Invoice
    )
    parsed: Any = client.models.generate_content(model=model, contents=text, config=config).parsed
    return {"class": type(parsed).__name__, "parsed": parsed.model_dump() if parsed else None}


def look(client: genai.Client, model: str, text: str, png: str) -> Any:
    """Show a picture, in base64."""
    picture = types.Part.from_bytes(data=base64.b64decode(png), mime_type="image/png")
    contents: Any = [types.Content(role="user", parts=[picture, types.Part(text=text)])]
    return {"text": client.models.generate_content(model=model, contents=contents).text}


def embed(client: genai.Client, model: str, texts: list[str], **more: Any) -> Any:
    """Have vectors made."""
    # Texts alone would be the parts of one content, which has one vector.
    contents: Any = [types.Content(parts=[types.Part(text=text)]) for text in texts]
    config = types.EmbedContentConfig(**more)
    answer = client.models.embed_content(model=model, contents=contents, config=config)
    return [each.values for each in answer.embeddings or []]


def count(client: genai.Client, model: str, text: str) -> Any:
    """Count tokens."""
    return client.models.count_tokens(model=model, contents=text).total_tokens


def models(client: genai.Client) -> Any:
    """List the models, all pages."""
    return [(each.name or "").removeprefix("models/") for each in client.models.list()]


def model(client: genai.Client, name: str) -> Any:
    """Look one model up."""
    return (client.models.get(model=name).name or "").removeprefix("models/")


def batch(client: genai.Client, model: str, texts: dict[str, str]) -> Any:
    """Hand in a batch of requests, wait for its end and bring its results home."""
    made = _ended(client, _handed_in(client, model, texts))
    results = {}
    for name, each in zip(texts, _responses(made), strict=True):
        error = each.error and [each.error.code, each.error.message]
        results[name] = [each.response and each.response.text, error]
    listed = client.batches.list(config={"page_size": 1})
    return {
        "name": made.name,
        "display_name": made.display_name,
        "model": made.model,
        "state": _state(made),
        "results": results,
        "noted": [getattr(each, "metadata", None) for each in _responses(made)],
        "listed": [each.name for each in islice(listed, 2)],
    }


def cancel_batch(client: genai.Client, model: str, texts: dict[str, str]) -> Any:
    """Hand in a batch and cancel it at once; return how it ends, and what is left of it then."""
    made = _handed_in(client, model, texts)
    client.batches.cancel(name=made.name or "")
    made = _ended(client, made)
    codes = [each.error and each.error.code for each in _responses(made)]
    client.batches.delete(name=made.name or "")
    left = client.batches.get(name=made.name or "")
    return {"state": _state(made), "codes": codes, "left": len(_responses(left))}


def _handed_in(client: genai.Client, model: str, texts: dict[str, str]) -> types.BatchJob:
    noted = "metadata" in types.InlinedRequest.model_fields
    requests: Any = [
        {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "config": {"max_output_tokens": 100, "system_instruction": "Be brief."},
            **({"metadata": {"key": name}} if noted else {}),
        }
        for name, text in texts.items()
    ]
    return client.batches.create(model=model, src=requests, config={"display_name": "three"})


def _ended(client: genai.Client, made: types.BatchJob) -> types.BatchJob:
    until = time.monotonic() + 60
    while _state(made) in WAITING and time.monotonic() < until:
        time.sleep(0.1)
        made = client.batches.get(name=made.name or "")
    return made


def _state(made: types.BatchJob) -> str:
    # The older one has no word for some of them: it shows what comes.
    return str(getattr(made.state, "value", made.state)).replace("BATCH_STATE_", "JOB_STATE_")


def _responses(made: types.BatchJob) -> list[Any]:
    return list((made.dest and made.dest.inlined_responses) or [])


def version(_client: genai.Client) -> Any:
    """Tell which SDK this is."""
    return genai.__version__


def _finish(answer: Any) -> Any:
    candidates = answer.candidates or []
    reason = candidates[0].finish_reason if candidates else None
    return reason and str(reason.value)


def _raised(error: BaseException) -> JsonObject:
    return told(
        error, status_code=getattr(error, "code", None), code=getattr(error, "status", None)
    )


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act
    for act in (
        *(batch, cancel_batch, count, embed, look, model, models),
        *(say, stream, structured, use_tool, version),
    )
}


def opened(base_url: str, key: str, options: JsonObject) -> genai.Client:
    """Open a client with these options."""
    given = {"base_url": base_url, "timeout": 30_000, **options}
    return genai.Client(api_key=key, http_options=types.HttpOptions(**given))


if __name__ == "__main__":
    kinds = (errors.APIError, errors.UnknownApiResponseError)
    serve(ACTS, opened=opened, raises=kinds, raised=_raised)
