"""What a request needs of a model, read off its body in any dialect: cheap, and pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.inference.dialect import EMBEDDING_DIALECTS, Dialect
from shared.routing.model import Capability, Difficulty

Json = Mapping[str, Any]
_MEDIA = {
    **dict.fromkeys(("image_url", "input_image", "image"), Capability.VISION),
    **dict.fromkeys(("input_audio", "audio"), Capability.AUDIO),
    **dict.fromkeys(("file", "input_file", "document"), Capability.FILES),
}
_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Facts:
    """What decides where a request may go, and where it best goes.

    `input_tokens` is a guess that is rather too high; `output_tokens` what was asked for, 0 where
    nothing was. `regions` None: anywhere. `hard` None: nobody said.
    """

    needs: frozenset[Capability] = frozenset()
    input_tokens: int = 0
    output_tokens: int = 0
    chars: int = 0
    streams: bool = False
    embeds: bool = False
    regions: frozenset[str] | None = None
    tier: str | None = None
    hard: bool | None = None


def facts_of(
    dialect: Dialect,
    body: Json,
    *,
    input_tokens: int = 0,
    regions: Iterable[str] | None = None,
    tier: str | None = None,
    difficulty: Difficulty | None = None,
) -> Facts:
    """Read a request's body; what is of a wrong type counts as absent.

    `input_tokens` is the limiter's guess, `regions` and `tier` are the tenant's, `difficulty` the
    route's rule, by which `hard` is then decided.
    """
    embeds = dialect in EMBEDDING_DIALECTS
    texts, needs = _content(body)
    needs |= _asked(body)
    if embeds:
        needs.add(Capability.EMBEDDINGS)
    chars = sum(map(len, texts))
    return Facts(
        needs=frozenset(needs),
        input_tokens=input_tokens,
        output_tokens=0 if embeds else _output_tokens(body),
        chars=chars,
        streams=body.get("stream") is True,
        embeds=embeds,
        regions=None if regions is None else frozenset(regions),
        tier=tier,
        hard=None if difficulty is None else _is_hard(difficulty, needs, texts, chars),
    )


def _is_hard(rule: Difficulty, needs: set[Capability], texts: list[str], chars: int) -> bool:
    if needs or chars > rule.max_chars:
        return True
    words = [word.lower() for word in rule.hard_words]
    return any(word in text.lower() for text in texts for word in words) if words else False


def _asked(body: Json) -> set[Capability]:
    needs = set()
    if body.get("tools") or body.get("functions"):
        needs.add(Capability.TOOLS)
    if _is_structured(body):
        needs.add(Capability.STRUCTURED)
    config = _part(body, "generationConfig", "generation_config")
    said = body.get("modalities") or config.get("responseModalities")
    if isinstance(said, list) and any(str(each).lower() == "audio" for each in said):
        needs.add(Capability.AUDIO)
    return needs


def _is_structured(body: Json) -> bool:
    formats = (
        _part(body, "response_format"),
        _part(_part(body, "text"), "format"),
        _part(_part(body, "output_config"), "format"),
        _part(body, "output_format"),
    )
    if any(str(each.get("type", "text")) != "text" for each in formats):
        return True
    config = _part(body, "generationConfig", "generation_config")
    kind = config.get("responseMimeType") or config.get("response_mime_type")
    schemas = ("responseSchema", "response_schema", "responseJsonSchema", "_responseJsonSchema")
    return kind == "application/json" or any(config.get(name) for name in schemas)


def _output_tokens(body: Json) -> int:
    config = _part(body, "generationConfig", "generation_config")
    given = [body.get(name) for name in _LIMITS]
    given += [config.get("maxOutputTokens"), config.get("max_output_tokens")]
    return next((each for each in given if type(each) is int and each > 0), 0)


def _content(body: Json) -> tuple[list[str], set[Capability]]:
    texts, needs = list[str](), set[Capability]()
    for name in ("system", "instructions", "prompt", "input", "messages", "contents"):
        for each in _pieces(body[name]) if name in body else ():
            if isinstance(each, str):
                texts.append(each)
            else:
                needs |= _needs_of(each)
    for each in _pieces(body.get("systemInstruction") or body.get("system_instruction")):
        if isinstance(each, str):
            texts.append(each)
    return texts, needs


def _pieces(value: Any) -> Iterator[str | Json]:
    """Yield the texts and the other parts of messages, contents or parts, however they nest."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            # Not what is numbers: an embedding's tokens.
            waiting.extend(item for item in reversed(each) if isinstance(item, (dict, list, str)))
        elif isinstance(each, dict):
            yield each
            waiting.extend(each[name] for name in _NESTED if name in each)


_NESTED = ("output", "parts", "content", "text")


def _needs_of(part: Json) -> set[Capability]:
    kind = part.get("type")
    if isinstance(kind, str) and kind in _MEDIA:
        return {_MEDIA[kind]}
    data = _part(part, "inlineData", "inline_data") or _part(part, "fileData", "file_data")
    return _needs_of_medium(data) if data else set()


def _needs_of_medium(data: Json) -> set[Capability]:
    medium = str(data.get("mimeType") or data.get("mime_type") or "")
    if medium.startswith("image/"):
        return {Capability.VISION}
    return {Capability.AUDIO if medium.startswith("audio/") else Capability.FILES}


def _part(body: Json, *names: str) -> Json:
    for name in names:
        if isinstance(found := body.get(name), dict):
            return found
    return {}
