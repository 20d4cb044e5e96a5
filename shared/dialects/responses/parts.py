"""What stands in a message or in what a tool answered: texts, pictures, files, both ways. Pure."""

import re
from collections.abc import Sequence
from typing import Any

from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import Media, MediaKind, Refusal, Text

DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)(?:;[^,]*)?;base64,(?P<data>.*)", re.DOTALL)
TEXTS = frozenset({"input_text", "output_text", "text"})
NAMELESS = "document.pdf"
"""OpenAI wants a name for bytes that it is sent."""
Shown = Text | Media | Refusal


def read_content(content: object, where: str) -> tuple[Shown, ...]:
    """Read a text, or a list of parts.

    Raises:
        Unreadable, Unsupported: what it is that cannot be read.
    """
    if isinstance(content, str):
        return (Text(content),)
    if not isinstance(content, list):
        message = f"`{where}` must be a string or an array of parts."
        raise Unreadable(message, where)
    return tuple(_read_part(each, f"{where}[{n}]") for n, each in enumerate(content))


def read_shown(content: object, where: str) -> tuple[Text | Media, ...]:
    """Read what a tool answered: no refusal is among it."""
    parts = read_content(content, where)
    return tuple(Text(each.text) if isinstance(each, Refusal) else each for each in parts)


def write_shown(parts: Sequence[Text | Media], where: str) -> list[dict[str, Any]]:
    """Return parts as a user or a tool shows them.

    Raises:
        Unsupported: there is no word for one of them.
    """
    return [write_part(each, where) for each in parts]


def write_part(part: Text | Media, where: str) -> dict[str, Any]:
    """Return one part as it is shown to a model."""
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    if part.kind is MediaKind.IMAGE:
        return _image(part)
    if part.kind is MediaKind.DOCUMENT:
        return _file(part)
    feature = f"{part.kind} input"
    raise Unsupported(feature, where)


def _image(media: Media) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "input_image"}
    if media.file_id is not None:
        told["file_id"] = media.file_id
    else:
        told["image_url"] = media.url or _data_url(media)
    return told if media.detail is None else {**told, "detail": media.detail}


def _file(media: Media) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "input_file"}
    if media.file_id is not None:
        return {**told, "file_id": media.file_id}
    if media.url is not None:
        return {**told, "file_url": media.url}
    return {**told, "filename": media.name or NAMELESS, "file_data": _data_url(media)}


def _data_url(media: Media) -> str:
    otherwise = "image/png" if media.kind is MediaKind.IMAGE else "application/pdf"
    return f"data:{media.mime_type or otherwise};base64,{media.data}"


def _read_part(part: object, where: str) -> Shown:
    if not isinstance(part, dict):
        message = f"`{where}` must be an object with a `type`."
        raise Unreadable(message, where)
    kind = str(part.get("type"))
    if kind in TEXTS:
        return Text(_text(part, "text", where))
    if kind == "refusal":
        return Refusal(_text(part, "refusal", where))
    if kind == "input_image":
        return _read_image(part, where)
    if kind == "input_file":
        return _read_file(part, where)
    if kind == "input_audio":
        return _read_audio(part, where)
    feature = f"content of type `{kind[:64]}`"
    raise Unsupported(feature, where)


def _read_image(part: Json, where: str) -> Media:
    detail = part.get("detail")
    told = detail if isinstance(detail, str) else None
    if isinstance(part.get("file_id"), str):
        return Media(MediaKind.IMAGE, file_id=part["file_id"], detail=told)
    url = _text(part, "image_url", where)
    found = DATA_URL.fullmatch(url)
    if found is None:
        return Media(MediaKind.IMAGE, url=url, detail=told)
    return Media(MediaKind.IMAGE, found["mime"] or "image/png", found["data"], detail=told)


def _read_file(part: Json, where: str) -> Media:
    name = part.get("filename")
    told = name if isinstance(name, str) else None
    if isinstance(part.get("file_id"), str):
        return Media(MediaKind.DOCUMENT, file_id=part["file_id"], name=told)
    if isinstance(part.get("file_url"), str):
        return Media(MediaKind.DOCUMENT, url=part["file_url"], name=told)
    data = _text(part, "file_data", where)
    found = DATA_URL.fullmatch(data)
    mime, raw = (found["mime"], found["data"]) if found else ("", data)
    return Media(MediaKind.DOCUMENT, mime or "application/pdf", raw, name=told)


def _read_audio(part: Json, where: str) -> Media:
    inner = part.get("input_audio")
    said = inner if isinstance(inner, dict) else part
    form = _text(said, "format", where)
    mime = "audio/mpeg" if form == "mp3" else f"audio/{form}"
    return Media(MediaKind.AUDIO, mime, _text(said, "data", where))


def _text(part: Json, name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        message = f"`{where}.{name}` must be a string."
        raise Unreadable(message, f"{where}.{name}")
    return value
