"""OpenAI's SDK as its user has it, either major: does what it is told, line by line.

Runs by path, in an environment that has nothing but the SDK:

    python client.py --base-url http://127.0.0.1:8000/v1 --key pk_…

Reads `{"do": …, "with": {…}, "options": {…}}` from standard input, one JSON object a line, and
answers each with a line: `{"value": …}` or `{"raised": …}`. `options` are the client's own:
`api_key`, `timeout`, `max_retries`, `base_url`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import openai
from openai import OpenAI
from pydantic import BaseModel

JsonObject = dict[str, Any]


class Invoice(BaseModel):
    """What structured output is asked for."""

    sender: str
    total: float
    paid: bool


def chat(client: OpenAI, **asked: Any) -> Any:
    """Have a chat completed; the request's id comes along."""
    completion = client.chat.completions.create(**asked)
    return {**completion.model_dump(), "request_id": completion._request_id}


def chat_raw(client: OpenAI, **asked: Any) -> Any:
    """Have a chat completed, and return the answer's headers beside it."""
    raw = client.chat.completions.with_raw_response.create(**asked)
    return {"headers": dict(raw.headers), "request_id": raw.request_id, "status": raw.status_code}


def stream(client: OpenAI, **asked: Any) -> Any:
    """Stream a chat completion to its end; an error in the middle comes beside the chunks."""
    chunks = client.chat.completions.create(**asked, stream=True)
    told: JsonObject = {"headers": dict(chunks.response.headers), "chunks": [], "raised": None}
    try:
        for chunk in chunks:
            told["chunks"].append(chunk.model_dump())
    except openai.OpenAIError as error:
        told["raised"] = raised(error)
    return told


def leave(client: OpenAI, after: int, **asked: Any) -> Any:
    """Stream, and go away after so many chunks with text."""
    texts: list[str] = []
    with client.chat.completions.create(**asked, stream=True) as chunks:
        headers = dict(chunks.response.headers)
        for chunk in chunks:
            text = chunk.choices[0].delta.content if chunk.choices else None
            texts += [text] if text else []
            if len(texts) >= after:
                break
    return {"headers": headers, "texts": texts}


def stream_helper(client: OpenAI, **asked: Any) -> Any:
    """Stream with the SDK's own helper, which puts the completion together."""
    with client.chat.completions.stream(**asked) as events:
        kinds = [event.type for event in events]
        return {"events": kinds, "completion": events.get_final_completion().model_dump()}


def parse(client: OpenAI, *, streamed: bool, **asked: Any) -> Any:
    """Have the answer as an object of a class."""
    if streamed:
        with client.chat.completions.stream(**asked, response_format=Invoice) as events:
            completion = events.get_final_completion()
    else:
        completion = client.chat.completions.parse(**asked, response_format=Invoice)
    parsed = completion.choices[0].message.parsed
    return {"class": type(parsed).__name__, "parsed": parsed.model_dump() if parsed else None}


def embed(client: OpenAI, **asked: Any) -> Any:
    """Have vectors made."""
    return client.embeddings.create(**asked).model_dump()


def embed_raw(client: OpenAI, **asked: Any) -> Any:
    """Have vectors made, and return what came over the wire."""
    return json.loads(client.embeddings.with_raw_response.create(**asked).text)


def models(client: OpenAI) -> Any:
    """List the models, all pages."""
    return [model.model_dump() for model in client.models.list()]


def model(client: OpenAI, name: str) -> Any:
    """Look one model up."""
    return client.models.retrieve(name).model_dump()


def webhooks(client: OpenAI, call: str, *args: Any, **asked: Any) -> Any:
    """Manage webhook endpoints: `call` is a method of `client.webhooks`."""
    answer = getattr(client.webhooks, call)(*args, **asked)
    if call == "list":
        return [each.model_dump() for each in answer]
    return answer.model_dump() if answer is not None else None


def event_types(client: OpenAI) -> Any:
    """List what webhook endpoints can be told of."""
    return client.webhooks.event_types.list().model_dump()


def unwrap(client: OpenAI, payload: str, headers: dict[str, str], secret: str) -> Any:
    """Verify a webhook and return its event."""
    return client.webhooks.unwrap(payload, headers, secret=secret).model_dump()


def upload(client: OpenAI, content: str, filename: str | None = None, **asked: Any) -> Any:
    """Upload a text as a file; without a name, as the SDK sends plain bytes."""
    sent = content.encode()
    file = sent if filename is None else (filename, sent)
    return client.files.create(file=file, **asked).model_dump()


def file(client: OpenAI, file_id: str) -> Any:
    """Look a file up."""
    return client.files.retrieve(file_id).model_dump()


def files(client: OpenAI, **asked: Any) -> Any:
    """List files, all pages, `limit` a page."""
    return [each.model_dump() for each in client.files.list(**asked)]


def content(client: OpenAI, file_id: str) -> Any:
    """Download a file as text."""
    return client.files.content(file_id).text


def delete_file(client: OpenAI, file_id: str) -> Any:
    """Delete a file."""
    return client.files.delete(file_id).model_dump()


def create_batch(client: OpenAI, **asked: Any) -> Any:
    """Hand in a batch."""
    return client.batches.create(**asked).model_dump()


def batch(client: OpenAI, batch_id: str) -> Any:
    """Look a batch up."""
    return client.batches.retrieve(batch_id).model_dump()


def batches(client: OpenAI, **asked: Any) -> Any:
    """List batches, all pages, `limit` a page."""
    return [each.model_dump() for each in client.batches.list(**asked)]


def cancel_batch(client: OpenAI, batch_id: str) -> Any:
    """Cancel a batch."""
    return client.batches.cancel(batch_id).model_dump()


def version(_client: OpenAI) -> Any:
    """Tell which SDK this is."""
    return openai.__version__


ACTS: dict[str, Callable[..., Any]] = {
    act.__name__: act
    for act in (
        batch,
        batches,
        cancel_batch,
        chat,
        chat_raw,
        content,
        create_batch,
        delete_file,
        embed,
        embed_raw,
        event_types,
        file,
        files,
        leave,
        model,
        models,
        parse,
        stream,
        stream_helper,
        unwrap,
        upload,
        version,
        webhooks,
    )
}


def raised(error: Exception) -> JsonObject:
    """Tell of an exception what a user could ask it."""
    names = ("status_code", "code", "type", "param", "request_id", "body")
    told = {name: getattr(error, name, None) for name in names}
    response = getattr(error, "response", None)
    headers = dict(response.headers) if response is not None else {}
    classes = [each.__name__ for each in type(error).__mro__]
    return {**told, "classes": classes, "message": str(error), "headers": headers}


@contextmanager
def opened(base_url: str, options: JsonObject) -> Iterator[OpenAI]:
    """Open a client with these options."""
    with OpenAI(**{"base_url": base_url, "max_retries": 0, "timeout": 30, **options}) as client:
        yield client


def main() -> None:
    """Answer line after line until there are no more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--key", required=True)
    given = parser.parse_args()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            with opened(given.base_url, {"api_key": given.key, **asked["options"]}) as client:
                told = {"value": ACTS[asked["do"]](client, *asked["args"], **asked["with"])}
        except (openai.OpenAIError, ValueError) as error:
            told = {"raised": raised(error)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
