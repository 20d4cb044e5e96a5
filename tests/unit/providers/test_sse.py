"""The SSE parser: the specification's cases, and any way of cutting the bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.sse import EventParser, EventTooLarge, ServerSentEvent


def parse(*pieces: bytes, limit: int = 1_000_000) -> list[ServerSentEvent]:
    parser = EventParser(max_event_bytes=limit)
    return [event for piece in pieces for event in parser.feed(piece)]


@pytest.mark.parametrize(
    ("raw", "data"),
    [
        (b"data: one\n\n", [b"one"]),
        (b"data: one\r\n\r\n", [b"one"]),
        (b"data: one\r\r", [b"one"]),
        (b"data:one\n\ndata:  two\n\n", [b"one", b" two"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data\ndata\n\n", [b"\n"]),
        (b"data:\n\n", [b""]),
        (b": a comment\n\ndata: x\n\n", [b"x"]),
        (b"data: x\n: in the middle\ndata: y\n\n", [b"x\ny"]),
        (b"id: 1\nretry: 10\nunknown: z\ndata: x\n\n", [b"x"]),
        (b"event: ping\n\ndata: x\n\n", [b"x"]),
        (b"\xef\xbb\xbfdata: x\n\n", [b"x"]),
        (b"data: x\n\n\n\n\ndata: y\n\n", [b"x", b"y"]),
        (b"data: never ended\n", []),
        ("data: \u2028 \x85 \x0b\n\n".encode(), ["\u2028 \x85 \x0b".encode()]),
        (b"", []),
    ],
)
def test_it_reads_what_the_specification_says(raw: bytes, data: list[bytes]) -> None:
    assert [event.data for event in parse(raw)] == data


def test_a_named_event_keeps_its_name_only_once() -> None:
    named, plain = parse(b"event: error\ndata: x\n\ndata: y\n\n")

    assert (named.event, plain.event) == ("error", "message")


line_ends = st.sampled_from([b"\n", b"\r", b"\r\n"])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12).map(
    str.encode
)
lines = st.one_of(
    texts.map(lambda text: b"data: " + text),
    texts.map(lambda text: b":" + text),
    texts.map(lambda text: b"event: " + text),
    texts,
    st.just(b""),
)


@given(st.data(), st.lists(st.tuples(lines, line_ends), max_size=20))
def test_where_the_bytes_are_cut_makes_no_difference(
    data: st.DataObject, written: list[tuple[bytes, bytes]]
) -> None:
    raw = b"".join(line + end for line, end in written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=12)))
    pieces = [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    whole = parse(raw)

    assert parse(*pieces) == whole
    assert parse(*[raw[at : at + 1] for at in range(len(raw))]) == whole


@given(st.lists(st.lists(texts, min_size=1, max_size=4), max_size=8), line_ends)
def test_what_was_written_is_read_again(events: list[list[bytes]], end: bytes) -> None:
    raw = b"".join(b"".join(b"data: " + line + end for line in event) + end for event in events)

    assert [event.data for event in parse(raw)] == [b"\n".join(event) for event in events]


@pytest.mark.parametrize(
    "pieces", [[b"data: " + b"x" * 200 + b"\n\n"], [b"x" * 60] * 4, [b"data: xxxxxxxx\n"] * 20]
)
def test_an_endless_event_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(EventTooLarge, match="100 bytes"):
        parse(*pieces, limit=100)


def test_many_small_events_never_reach_the_limit() -> None:
    assert len(parse(*[b"data: 12345678\n\n"] * 100, limit=100)) == 100
