"""The fake provider as Vertex: Google's dialect with fewer names, stricter turns, and embeddings by `predict` too."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from typing_extensions import override

from tests.fakes.upstream_answers import embeddings
from tests.fakes.upstream_gemini_wire import KNOWN, GeminiWire

Body = Mapping[str, Any]

MODEL = re.compile(
    r"^/v1/projects/[^/]+/locations/[^/]+/(?:publishers/google/models|endpoints)/(?P<model>[^/]+):"
)
GENERATED = KNOWN - {"store"}
COUNTED = frozenset(
    {"contents", "generationConfig", "instances", "model", "systemInstruction", "tools"}
)
OF_ONE = frozenset({"content", "embedContentConfig"})
INSTANCE = frozenset({"content", "task_type", "title", "mimeType"})
PARAMETERS = frozenset({"outputDimensionality", "autoTruncate"})
NEWER = "gemini"
"""Models called so embed contents; all others predict."""


class VertexWire(GeminiWire):
    """As strict as the real one about what Google's other service lets pass."""

    @override
    def owns(self, path: str) -> bool:
        """Claim what stands under a project."""
        return MODEL.match(path) is not None

    @override
    def model(self, path: str, _body: Body) -> str:
        """Go by the path."""
        found = MODEL.match(path)
        return unquote(found["model"]) if found else ""

    @override
    def marker(self, body: Body) -> str:
        """Return what its other service would, or the first text to predict from."""
        for instance in body.get("instances") or []:
            return str(instance.get("content"))[:200]
        return super().marker(body)

    @override
    def key(self, headers: Mapping[str, str]) -> str:
        """Return the access token."""
        return headers.get("authorization", "").removeprefix("Bearer ")

    @override
    def refusal(self, path: str, headers: Mapping[str, str], body: Body) -> str | None:
        """Refuse what the real one refuses."""
        act = path.rpartition(":")[2]
        newer = NEWER in self.model(path, body)
        if act == "predict":
            wrongs = ["This model embeds contents only."] if newer else _wrong_prediction(body)
        elif "mbed" in act:
            wrongs = list(_wrong_embedding(act, body)) if newer else ["This model predicts only."]
        else:
            known = COUNTED if act == "countTokens" else GENERATED
            wrongs = [*_unknown(body, known, ""), *_wrong_turns(body.get("contents"))]
        return next(iter(wrongs), None)

    @override
    def answer(
        self, path: str, body: Body, *, call: str, content: str | None, output_tokens: int | None
    ) -> dict[str, Any]:
        """Return predictions, or what its other service would."""
        if path.endswith(":predict"):
            return _predicted(body)
        if path.endswith(("mbedContents", "mbedContent")):
            return super().answer(
                path, _plain(body), call=call, content=content, output_tokens=output_tokens
            )
        told = super().answer(path, body, call=call, content=content, output_tokens=output_tokens)
        for candidate in told.get("candidates", []):
            candidate["avgLogprobs"] = -0.1
        if "usageMetadata" in told:
            told["usageMetadata"]["trafficType"] = "ON_DEMAND"
        return told

    @override
    def empty(self, answer: dict[str, Any]) -> None:
        """Leave no candidates, vectors or predictions."""
        if "predictions" in answer:
            answer["predictions"] = []
        else:
            super().empty(answer)


def _wrong_turns(contents: Any) -> Iterator[str]:
    if not isinstance(contents, list) or not contents:
        yield "Unable to submit request because at least one contents field is required."
        return
    for index, content in enumerate(contents):
        if content.get("role") not in ("user", "model"):
            yield "Please use a valid role: user, model."
        if not content.get("parts"):
            yield "Unable to submit request because it must include at least one parts field."
        for place, part in enumerate(content.get("parts") or []):
            for name, spelled in (
                ("functionCall", "function_call"),
                ("functionResponse", "function_response"),
            ):
                if "id" in part.get(name, {}):
                    where = f"contents[{index}].parts[{place}].{spelled}"
                    yield (
                        f"Invalid JSON payload received. Unknown name \"id\" at '{where}': Cannot"
                        " find field."
                    )


def _wrong_embedding(act: str, body: Body) -> Iterator[str]:
    if act == "embedContent":
        yield from _unknown(body, OF_ONE, "")
        requests = [body]
    else:
        yield from _unknown(body, frozenset({"requests"}), "")
        requests = body.get("requests") or []
    for index, request in enumerate(requests):
        yield from _unknown(request, OF_ONE, f" at 'requests[{index}]'")
        yield from _wrong_turns([request.get("content") or {}])


def _wrong_prediction(body: Body) -> list[str]:
    wrongs = list(_unknown(body, frozenset({"instances", "parameters"}), ""))
    instances = body.get("instances")
    if not instances:
        return [*wrongs, "Empty instances."]
    for instance in instances:
        wrongs += _unknown(instance, INSTANCE, " at 'instances'")
        if not isinstance(instance.get("content"), str):
            wrongs.append("The text content is empty.")
    return [*wrongs, *_unknown(body.get("parameters") or {}, PARAMETERS, " at 'parameters'")]


def _unknown(body: Body, known: frozenset[str], where: str) -> Iterator[str]:
    for name in sorted({*body} - known):
        yield f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'


def _plain(body: Body) -> Body:
    """Return a request to embed with its settings where Google's other service has them."""
    if "requests" in body:
        return {"requests": [_plain(each) for each in body["requests"]]}
    return {"content": body["content"], **body.get("embedContentConfig", {})}


def _predicted(body: Body) -> dict[str, Any]:
    texts = [instance["content"] for instance in body["instances"]]
    wanted = (body.get("parameters") or {}).get("outputDimensionality")
    made = embeddings({"input": texts, "dimensions": wanted})["data"]
    counts = [embeddings({"input": text})["usage"]["prompt_tokens"] for text in texts]
    return {
        "predictions": [
            {
                "embeddings": {
                    "values": each["embedding"],
                    "statistics": {"token_count": count, "truncated": False},
                }
            }
            for each, count in zip(made, counts, strict=True)
        ],
        "metadata": {"billableCharacterCount": sum(map(len, texts))},
    }
