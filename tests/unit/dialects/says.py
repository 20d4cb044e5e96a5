"""What each dialect can say and give back as it was."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from shared.inference.conversation import (
    MediaKind,
)
from shared.inference.dialect import Dialect

Kinds = frozenset[MediaKind]
EVERY_KIND = frozenset(MediaKind)


@dataclass(frozen=True, slots=True)
class Says:
    """What survives `read(write(x))`; `a & b` is what both can say."""

    talk: bool = True
    """More than one text of a user."""
    tools: bool = True
    media: Kinds = frozenset()
    """With its bytes; `media_urls` by where it is, `media_files` by a file's id."""
    media_urls: Kinds = frozenset()
    media_files: Kinds = frozenset()
    media_names: bool = False
    media_details: bool = False
    result_media: Kinds = frozenset()
    result_errors: bool = False
    call_ids: bool = False
    call_signatures: bool = False
    """In answers; `past_call_signatures` in the messages of a request."""
    past_call_signatures: bool = False
    thinking: bool = False
    """In answers; `past_thinking` in the messages of a request."""
    past_thinking: bool = False
    thinking_signatures: bool = False
    thinking_redacted: bool = False
    refusals: bool = False
    names: bool = False
    """Of the speakers of messages."""
    tool_strict: bool = False
    tool_subsets: bool = False
    """A choice among several tools; one required tool is said by all."""
    json_objects: bool = False
    """An answer in JSON without a schema."""
    formats: bool = True
    """An answer in JSON with a schema."""
    format_names: bool = False
    format_descriptions: bool = False
    format_strict: bool = False
    endless: bool = False
    """No `max_tokens`."""
    stop: int = 0
    """How many stop sequences at most."""
    tuning: frozenset[str] = frozenset()
    choices: int = 1
    """How many at most."""
    logprobs: bool = False
    stop_sequences: bool = False
    """In answers: which one ended it."""
    cached: bool = False
    cache_writes: bool = False
    reasoning_tokens: bool = False

    def __and__(self, other: "Says") -> "Says":
        """Return what both can say."""
        both: dict[str, Any] = {}
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            both[each.name] = min(mine, theirs) if type(mine) is int else mine & theirs
        return Says(**both)


SAMPLING = frozenset({"temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"})
OTHERS = frozenset({"effort", "verbosity", "service_tier", "user", "parallel_tool_calls"})
SAYS: Mapping[Dialect, Says] = {
    Dialect.CHAT: Says(
        media=frozenset({MediaKind.IMAGE, MediaKind.AUDIO, MediaKind.DOCUMENT}),
        media_urls=frozenset({MediaKind.IMAGE}),
        media_files=frozenset({MediaKind.DOCUMENT}),
        media_names=True,
        media_details=True,
        call_ids=True,
        call_signatures=True,
        thinking=True,
        refusals=True,
        names=True,
        tool_strict=True,
        tool_subsets=True,
        json_objects=True,
        format_names=True,
        format_descriptions=True,
        format_strict=True,
        endless=True,
        stop=4,
        tuning=SAMPLING | OTHERS | {"logit_bias"},
        choices=3,
        logprobs=True,
        cached=True,
        cache_writes=True,
        reasoning_tokens=True,
    ),
    Dialect.MESSAGES: Says(
        media=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_urls=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_names=True,
        result_media=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        result_errors=True,
        call_ids=True,
        thinking=True,
        tool_strict=True,
        stop=4,
        tuning=frozenset({"temperature", "top_k", "service_tier", "user"}),
        stop_sequences=True,
        cached=True,
        cache_writes=True,
        reasoning_tokens=True,
    ),
    Dialect.RESPONSES: Says(
        media=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_urls=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_files=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        media_names=True,
        media_details=True,
        result_media=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        call_ids=True,
        thinking=True,
        thinking_signatures=True,
        thinking_redacted=True,
        refusals=True,
        tool_strict=True,
        tool_subsets=True,
        json_objects=True,
        format_names=True,
        format_descriptions=True,
        format_strict=True,
        endless=True,
        tuning=frozenset({"temperature", "top_p"}) | OTHERS,
        logprobs=True,
        cached=True,
        cache_writes=True,
        reasoning_tokens=True,
    ),
    Dialect.GEMINI: Says(
        media=EVERY_KIND,
        # Without a type an address tells its kind by its ending.
        media_urls=frozenset({MediaKind.IMAGE, MediaKind.DOCUMENT}),
        result_media=EVERY_KIND,
        result_errors=True,
        call_ids=True,
        call_signatures=True,
        tool_subsets=True,
        json_objects=True,
        endless=True,
        stop=5,
        tuning=SAMPLING | {"top_k"},
        choices=3,
        logprobs=True,
        cached=True,
        reasoning_tokens=True,
    ),
    Dialect.COMPLETIONS: Says(
        talk=False,
        tools=False,
        formats=False,
        endless=True,
        stop=4,
        tuning=SAMPLING | {"user", "logit_bias"},
        choices=3,
        logprobs=True,
        cached=True,
        cache_writes=True,
        reasoning_tokens=True,
    ),
}
"""A row for each dialect; one without a row is not tried by the tests of every pair."""
