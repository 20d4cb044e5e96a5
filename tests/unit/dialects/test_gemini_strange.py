"""Whatever comes in Google's words, it is read, or refused with a reason: nothing else happens."""

from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.dialects.embedding import TRANSLATORS
from shared.dialects.gemini.translator import GEMINI
from shared.dialects.translator import Unreadable, Unsupported
from shared.inference.dialect import Dialect

NAMES = [
    "contents",
    "role",
    "parts",
    "text",
    "thought",
    "thoughtSignature",
    "inlineData",
    "inline_data",
    "mimeType",
    "data",
    "fileData",
    "fileUri",
    "functionCall",
    "functionResponse",
    "id",
    "name",
    "args",
    "response",
    "output",
    "error",
    "systemInstruction",
    "tools",
    "functionDeclarations",
    "parameters",
    "parametersJsonSchema",
    "toolConfig",
    "functionCallingConfig",
    "mode",
    "allowedFunctionNames",
    "generationConfig",
    "temperature",
    "topK",
    "candidateCount",
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "thinkingConfig",
    "thinkingBudget",
    "thinkingLevel",
    "responseLogprobs",
    "logprobs",
    "generateContentRequest",
    "type",
    "properties",
    "items",
    "nullable",
    "enum",
    "anyOf",
    "requests",
    "content",
    "outputDimensionality",
    "embedContentConfig",
]
WORDS = ["user", "model", "AUTO", "application/json", "TEXT", "STRING", "a", "", "5", "https://["]
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2**40)
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
)
strange: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=12,
)
part = st.dictionaries(st.sampled_from(NAMES[3:15]), strange, max_size=2)
contents = st.lists(
    st.fixed_dictionaries({"parts": st.lists(part, max_size=3)}, optional={"role": strange}),
    max_size=3,
)
bodies = st.dictionaries(st.sampled_from(NAMES), strange, max_size=5)


@given(bodies, contents | strange)
def test_a_strange_request_is_read_or_refused(body: dict[str, Any], said: Any) -> None:
    with suppress(Unreadable, Unsupported):
        assert GEMINI.read_request({**body, "contents": said}).messages


@given(bodies, strange)
def test_strange_embeddings_are_read_or_refused(body: dict[str, Any], content: Any) -> None:
    for dialect in (Dialect.GEMINI_EMBEDDING, Dialect.GEMINI_EMBEDDINGS):
        with suppress(Unreadable, Unsupported):
            assert TRANSLATORS[dialect].read_request({**body, "content": content}).texts


@given(st.lists(bodies, max_size=4))
def test_a_strange_stream_is_joined(events: list[dict[str, Any]]) -> None:
    joined = GEMINI.joined()

    for event in events:
        joined.add({"candidates": [{"content": event}], **event})

    assert isinstance(joined.whole(), dict)
    assert isinstance(joined.said(), str)
