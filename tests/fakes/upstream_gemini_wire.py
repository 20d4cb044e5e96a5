"""The fake provider in Google's dialect: generating, streaming, counting, and embedding one text or many."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from tests.fakes.upstream_answers import embeddings, fill, tokens

Body = Mapping[str, Any]

ACTS = re.compile(
    r"/models/(?P<model>[^/]+):"
    r"(?P<act>generateContent|streamGenerateContent|countTokens|embedContent|batchEmbedContents)$"
)
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
KNOWN = frozenset(
    {
        "contents",
        "systemInstruction",
        "tools",
        "toolConfig",
        "safetySettings",
        "generationConfig",
        "cachedContent",
        "labels",
        "store",
        "future",
    }
)
"""What a request to generate may hold; `future` stands for what Google thinks of next."""
PIECE = 8
NOTHING_YET: dict[str, Any] = {"content": {"parts": [{"text": ""}], "role": "model"}}
"""What Google's thinking models begin with."""


class GeminiWire:
    """Google's dialect, as strict as the real one about names that it does not know and about turns."""

    terminator = b""
    broken_event = b'data: {"candidates": [\r\n\r\n'

    def owns(self, path: str) -> bool:
        """Claim what is done with models under any prefix."""
        return ACTS.search(path) is not None

    def streams(self, path: str, _body: Body) -> bool:
        """Go by the path."""
        return path.endswith(":streamGenerateContent")

    def model(self, path: str, _body: Body) -> str:
        """Go by the path."""
        found = ACTS.search(path)
        return unquote(found["model"]) if found else ""

    def marker(self, body: Body) -> str:
        """Return the beginning of the last user turn that says something, or of the first text to embed."""
        for content in reversed(_asked(body).get("contents") or []):
            said = _text(content) if content.get("role") != "model" else ""
            if said:
                return said[:200]
        return _inputs(body)[0][:200] if "requests" in body or "content" in body else ""

    def key(self, headers: Mapping[str, str]) -> str:
        """Return `x-goog-api-key`, or the bearer token."""
        given = headers.get("x-goog-api-key") or headers.get("authorization", "")
        return given.removeprefix("Bearer ")

    def refusal(self, path: str, _headers: Mapping[str, str], body: Body) -> str | None:
        """Refuse what the real one refuses."""
        if path.endswith(("Content", "Tokens")) and not path.endswith(":embedContent"):
            return _wrong_request(_asked(body), counted=path.endswith("Tokens"))
        if path.endswith(":batchEmbedContents"):
            model = self.model(path, body)
            if any(each.get("model") != f"models/{model}" for each in body.get("requests") or []):
                return "Model in requests[] must be the one of the path"
        return None

    def answer(
        self, path: str, body: Body, *, call: str, content: str | None, output_tokens: int | None
    ) -> dict[str, Any]:
        """Return candidates, embeddings or a count."""
        if path.endswith(":countTokens"):
            return {"totalTokens": input_tokens(_asked(body))}
        if path.endswith(("mbedContent", "EmbedContents")):
            return _embedded(path, body)
        call_part = _call(body) if content is None else None
        said = answer_text(body) if content is None else content
        part = {"text": said} if call_part is None else call_part
        wanted = int(_config(body).get("candidateCount") or 1)
        candidates = [
            {"content": {"parts": [part], "role": "model"}, "finishReason": "STOP", "index": index}
            for index in range(wanted)
        ]
        return {
            "candidates": candidates,
            "usageMetadata": gemini_usage(body, output_tokens=output_tokens),
            "modelVersion": self.model(path, body),
            "responseId": f"response_{call}",
        }

    def events(self, answer: Body, _body: Body) -> list[bytes]:
        """Return whole answers of a piece of text each, the last of a candidate with its end."""
        frame = {name: value for name, value in answer.items() if name != "candidates"}
        rows = [NOTHING_YET, NOTHING_YET] if answer.get("candidates") else []
        for candidate in answer.get("candidates") or []:
            rows += _pieces(candidate)
        usage = frame.pop("usageMetadata", None)
        framed = [{"candidates": [row], **frame} for row in rows] or [{**frame, "candidates": []}]
        if usage is not None:
            framed[-1]["usageMetadata"] = usage
        return [b"data: " + orjson.dumps(each) + b"\r\n\r\n" for each in framed]

    def usage(self, answer: Body) -> Any:
        """Return `usageMetadata`."""
        return answer.get("usageMetadata")

    def set_usage(self, answer: dict[str, Any], usage: Any) -> None:
        """Set `usageMetadata`, or leave it out as Google does."""
        answer["usageMetadata"] = usage
        if usage is None:
            del answer["usageMetadata"]

    def empty(self, answer: dict[str, Any]) -> None:
        """Leave no candidates, or no vectors."""
        answer["embeddings" if "embeddings" in answer else "candidates"] = []

    def unfinish(self, answer: dict[str, Any]) -> None:
        """Leave every `finishReason` out."""
        for candidate in answer["candidates"]:
            del candidate["finishReason"]

    def error(self, message: str, *, status: int | None = None) -> dict[str, Any]:
        """Return Google's error body."""
        code = status or 500
        name = STATUSES.get(code, "UNKNOWN")
        return {"error": {"code": code, "message": message, "status": name, "details": []}}

    def error_event(self, error: Any, _after: int) -> bytes:
        """Return an event that is an error."""
        return b"data: " + orjson.dumps(error) + b"\r\n\r\n"


def gemini_usage(body: Body, *, output_tokens: int | None = None) -> dict[str, int]:
    """Return the usage that the default answer to this body reports."""
    inputs = input_tokens(body)
    outputs = tokens(answer_text(body)) * int(_config(body).get("candidateCount") or 1)
    outputs = outputs if output_tokens is None else output_tokens
    return {
        "promptTokenCount": inputs,
        "candidatesTokenCount": outputs,
        "totalTokenCount": inputs + outputs,
    }


def input_tokens(body: Body) -> int:
    """Return how many tokens a body's instructions and turns have."""
    contents = [body.get("systemInstruction") or {}, *(body.get("contents") or [])]
    return sum(tokens(_text(content)) for content in contents)


def answer_text(body: Body) -> str:
    """Return what the model says: JSON where that was asked for, else an echo."""
    config = _config(body)
    if config.get("responseMimeType") == "application/json":
        schema = _schema(config, "responseJsonSchema", "responseSchema")
        said = {"echo": GeminiWire().marker(body)} if schema is None else fill(schema)
        return orjson.dumps(said).decode()
    return "" if _call(body) is not None else f"echo: {GeminiWire().marker(body)}"


def _call(body: Body) -> dict[str, Any] | None:
    choice = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    named = choice.get("allowedFunctionNames") or []
    if choice.get("mode") != "ANY":
        return None
    declared = [one for tool in body.get("tools") or [] for one in tool["functionDeclarations"]]
    tool = next((one for one in declared if not named or one["name"] in named), None)
    if tool is None:
        return None
    args = fill(_schema(tool, "parametersJsonSchema", "parameters") or {})
    call = {"name": tool["name"], "args": args}
    return {"functionCall": call, "thoughtSignature": "c2lnbmF0dXJl"}


def _schema(given: Body, plain: str, own: str) -> Any:
    """Return a JSON schema by its name, in either spelling, or Google's own with its types in lower case."""
    spelled = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in plain)
    return given.get(plain) or given.get(spelled) or _lowered(given.get(own))


def _lowered(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_lowered(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _lowered(each) for name, each in schema.items()}
    if isinstance(schema.get("type"), str):
        found["type"] = schema["type"].lower()
    return found


def _asked(body: Body) -> Body:
    inner: Body = body.get("generateContentRequest") or body
    return inner


def _config(body: Body) -> Body:
    return body.get("generationConfig") or {}


def _text(content: Body) -> str:
    return "\n".join(str(part["text"]) for part in content.get("parts") or [] if "text" in part)


def _inputs(body: Body) -> list[str]:
    requests = body.get("requests") or [body]
    return [_text(each.get("content") or {}) for each in requests] or [""]


def _embedded(path: str, body: Body) -> dict[str, Any]:
    first = (body.get("requests") or [body])[0]
    asked = {"input": _inputs(body), "dimensions": first.get("outputDimensionality")}
    made = embeddings(asked)
    vectors = [{"values": each["embedding"]} for each in made["data"]]
    count = made["usage"]["prompt_tokens"]
    usage = {"usageMetadata": {"promptTokenCount": count, "totalTokenCount": count}}
    if path.endswith(":embedContent"):
        return {"embedding": vectors[0], **usage}
    return {"embeddings": vectors, **usage}


def _pieces(candidate: Body) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for part in candidate["content"]["parts"]:
        text = part.get("text")
        cut = [text[at : at + PIECE] for at in range(0, len(text), PIECE)] if text else []
        parts += [{"text": piece} for piece in cut] if isinstance(text, str) else [part]
    frame = {"index": candidate["index"]}
    rows: list[dict[str, Any]] = [
        {"content": {"parts": [part], "role": "model"}, **frame} for part in parts or [{"text": ""}]
    ]
    if "finishReason" in candidate:
        rows[-1]["finishReason"] = candidate["finishReason"]
    return rows


def _wrong_request(asked: Body, *, counted: bool) -> str | None:
    strange = sorted({*asked} - KNOWN - ({"model"} if counted else set()))
    if strange:
        return f'Invalid JSON payload received. Unknown name "{strange[0]}": Cannot find field.'
    contents = asked.get("contents")
    if not isinstance(contents, list) or not contents:
        return "* GenerateContentRequest.contents: contents is not specified"
    for index, content in enumerate(contents):
        if content.get("role", "user") not in ("user", "model"):
            return "Please use a valid role: user, model."
        if not content.get("parts"):
            return f"* GenerateContentRequest.contents[{index}].parts: contents.parts must not be empty."
    return None
