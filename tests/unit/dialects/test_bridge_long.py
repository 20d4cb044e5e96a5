"""Conversations of very many pieces: what one takes is not to grow with how many came before."""

from collections.abc import Callable
from time import process_time
from typing import Any

import pytest

from shared.dialects.bridge import Bridge
from shared.inference.dialect import Dialect

FEW, MANY = 2_000, 16_000
Body = dict[str, Any]


def _chat_results(count: int) -> Body:
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for n in range(count)
    ]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": "x"} for n in range(count)]
    return {"messages": [{"role": "assistant", "tool_calls": calls}, *results]}


def _chat_tools(count: int) -> Body:
    tools = [{"type": "function", "function": {"name": f"f{n}"}} for n in range(count)]
    allowed = {"mode": "required", "tools": tools}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    return {
        "messages": [{"role": "user", "content": "x"}],
        "tools": tools,
        "tool_choice": choice,
    }


def _responses_items(count: int) -> Body:
    calls = [
        {"type": "function_call", "call_id": f"c{n}", "name": "f", "arguments": "{}"}
        for n in range(count)
    ]
    results = [
        {"type": "function_call_output", "call_id": f"c{n}", "output": "x"} for n in range(count)
    ]
    return {"input": [*calls, *results]}


def _gemini_calls(count: int) -> Body:
    calls = [{"functionCall": {"name": f"f{n}"}} for n in range(count)]
    results = [{"functionResponse": {"name": f"f{n}", "response": {}}} for n in range(count)]
    return {
        "contents": [
            {"role": "model", "parts": calls},
            {"role": "user", "parts": results[::-1]},
        ]
    }


@pytest.mark.parametrize(
    ("client", "provider", "asked"),
    [
        (Dialect.CHAT, Dialect.MESSAGES, _chat_results),
        (Dialect.CHAT, Dialect.MESSAGES, _chat_tools),
        (Dialect.RESPONSES, Dialect.MESSAGES, _responses_items),
        (Dialect.GEMINI, Dialect.CHAT, _gemini_calls),
    ],
)
def test_time_grows_with_the_length_alone(
    client: Dialect, provider: Dialect, asked: Callable[[int], Body]
) -> None:
    bridge = Bridge(client, provider)

    def took(count: int) -> float:
        body, times = {"model": "m", **asked(count)}, []
        for _ in range(3):
            began = process_time()
            bridge.request(body)
            times.append(process_time() - began)
        return min(times)

    # With the square it would be 64 times as long.
    assert took(MANY) < 24 * took(FEW)


def test_results_find_their_calls_in_any_order() -> None:
    calls = [{"functionCall": {"name": name, "args": {"n": n}}} for n, name in enumerate("aab")]
    calls.append({"functionCall": {"id": "own", "name": "a"}})
    answered = [("b", None), ("a", "own"), ("a", None), ("a", None)]
    results = [
        {"functionResponse": {"name": name, "response": {"output": str(n)}, "id": own}}
        for n, (name, own) in enumerate(answered)
    ]
    body = {
        "model": "m",
        "contents": [{"role": "model", "parts": calls}, {"role": "user", "parts": results}],
    }

    written = Bridge(Dialect.GEMINI, Dialect.CHAT).request(body).body["messages"]

    ids = [call["id"] for call in written[0]["tool_calls"]]
    said = {each["tool_call_id"]: each["content"] for each in written[1:]}
    assert [said[each] for each in ids] == ["2", "3", "0", "1"]


def test_a_result_is_never_the_assistants() -> None:
    items = [
        {"type": "message", "role": "assistant", "content": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
    ]

    written = Bridge(Dialect.RESPONSES, Dialect.CHAT).request({"model": "m", "input": items}).body

    assert [each["role"] for each in written["messages"]] == ["assistant", "tool"]
