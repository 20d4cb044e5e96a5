"""What a user's program does with OpenAI's SDK, any major of it; it prints what it saw as JSON.

    python sdk_program.py http://127.0.0.1:8000/v1 pk_…

It stands alone: the environment that it runs in has the SDK and nothing of ours.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import openai
from pydantic import BaseModel

SAID = "h\u00e9llo \u2028 \u0085 \u4e16\u754c"
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Total(BaseModel):
    """What the parser is to make."""

    total: float


def asked(text: str, model: str = "up", **more: Any) -> dict[str, Any]:
    """Return the arguments of a call."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def whole(client: openai.OpenAI) -> Any:
    """Have an answer whole, and look at its headers."""
    raw = client.chat.completions.with_raw_response.create(**asked(SAID))
    answer = raw.parse()
    names = ("penstock-job-id", "openai-processing-ms", "x-ratelimit-remaining-requests")
    return {
        "text": answer.choices[0].message.content,
        "tokens": answer.usage.total_tokens,
        "request_id": answer._request_id,
        "headers": [name for name in names if name in raw.headers],
    }


def stream(client: openai.OpenAI) -> Any:
    """Have it in chunks."""
    chunks = list(client.chat.completions.create(**asked(SAID, stream=True)))
    return {
        "text": "".join(each.choices[0].delta.content or "" for each in chunks),
        "role": chunks[0].choices[0].delta.role,
        "ids": len({(each.id, each.created, each.model) for each in chunks}),
        "finish": chunks[-1].choices[0].finish_reason,
        "usage": [each.usage for each in chunks if each.usage],
    }


def stream_with_usage(client: openai.OpenAI) -> Any:
    """Have it in chunks with the usage in the last."""
    options = {"include_usage": True}
    *chunks, last = client.chat.completions.create(
        **asked(SAID, stream=True, stream_options=options)
    )
    return {"before": [each.usage for each in chunks if each.usage], "choices": last.choices} | {
        "tokens": last.usage.total_tokens
    }


def stream_helper(client: openai.OpenAI) -> Any:
    """Have the SDK put the chunks together."""
    with client.chat.completions.stream(**asked(SAID)) as events:
        kinds = {event.type for event in events}
        final = events.get_final_completion()
    return {
        "text": final.choices[0].message.content,
        "role": final.choices[0].message.role,
        "kinds": sorted(kinds),
    }


def parsed(client: openai.OpenAI) -> Any:
    """Have an answer of a schema."""
    answer = client.chat.completions.parse(**asked("read it"), response_format=Total)
    made: Any = answer.choices[0].message.parsed
    return made.total


def tools(client: openai.OpenAI) -> Any:
    """Have a tool called, in chunks."""
    with client.chat.completions.stream(
        **asked("weather", tools=[TOOL], tool_choice="required")
    ) as events:
        for _ in events:
            pass
        final = events.get_final_completion()
    [call] = final.choices[0].message.tool_calls or []
    return {"name": call.function.name, "finish": final.choices[0].finish_reason}


def vectors(client: openai.OpenAI) -> Any:
    """Have embeddings as the SDK asks for them, and as floats."""
    packed = client.embeddings.create(model="up", input=["one", "two"])
    plain = client.embeddings.create(model="up", input=["one", "two"], encoding_format="float")
    near = [
        abs(a - b) < 1e-6
        for a, b in zip(packed.data[1].embedding, plain.data[1].embedding, strict=True)
    ]
    return {"dimensions": len(plain.data[0].embedding), "alike": all(near)}


def models(client: openai.OpenAI) -> Any:
    """List what there is, and get one whose name has everything in it."""
    return {
        "listed": sorted(each.id for each in client.models.list()),
        "one": client.models.retrieve("team/best model:1").id,
    }


def failure(act: Callable[[], Any]) -> Any:
    """Do what must fail; return how."""
    try:
        act()
    except openai.APIError as error:
        return {"class": type(error).__name__, "code": error.code}
    return None


def failures(client: openai.OpenAI) -> Any:
    """Fail in every way that a program meets."""
    create = client.chat.completions.create
    return {
        "refused": failure(lambda: create(**asked("refuse me"))),
        "refused stream": failure(lambda: list(create(**asked("refuse me", stream=True)))),
        "nobody": failure(lambda: create(**asked("x", model="nobody"))),
        "broken": failure(lambda: list(create(**asked("break in the middle", stream=True)))),
        "silent": failure(lambda: create(**asked("say nothing"), timeout=2)),
    }


def leaving(client: openai.OpenAI) -> Any:
    """Go away in the middle of a stream; return the job's id."""
    reply = client.chat.completions.with_raw_response.create(
        **asked("take your time, please", stream=True)
    )
    chunks = reply.parse()
    while not next(chunks).choices[0].delta.content:
        pass
    chunks.close()
    return reply.headers["penstock-job-id"]


STEPS = (whole, stream, stream_with_usage, stream_helper, parsed, tools, vectors, models)


def main() -> None:
    """Do it all."""
    url, key = sys.argv[1:]
    client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
    seen = {step.__name__: step(client) for step in (*STEPS, failures, leaving)}
    print(json.dumps({"version": openai.__version__, **seen}))  # noqa: T201  for the test to read


if __name__ == "__main__":
    main()
