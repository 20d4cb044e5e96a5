"""Pictures, sounds and files of OpenAI's chat, read and written; pure."""

import re
from typing import Any

from shared.dialects.chat.fields import needed_object, needed_text, text_of, wrong
from shared.dialects.translator import Json, Unreadable, Unsupported
from shared.inference.conversation import Media, MediaKind

DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)(?:;[^;,]+)*?;base64,(?P<data>.*)", re.DOTALL)
AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
MIME_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
PDF = "application/pdf"
URL_PARTS = {"image_url": MediaKind.IMAGE, "video_url": MediaKind.VIDEO}


def read_media(part: Json, where: str) -> Media | None:
    """Read a part that is no text; None where it is nothing that is known."""
    kind = str(part.get("type"))
    if kind in URL_PARTS:
        return _read_url(part, kind, where)
    if kind == "input_audio":
        audio = needed_object(part, "input_audio", where)
        form = text_of(audio, "format", f"{where}.input_audio") or "wav"
        data = needed_text(audio, "data", f"{where}.input_audio")
        return Media(MediaKind.AUDIO, MIME_TYPES.get(form, f"audio/{form}"), data)
    if kind == "file":
        return _read_file(needed_object(part, "file", where), f"{where}.file")
    if kind == "document_url":
        # Mistral's.
        url = needed_text(part, "document_url", where)
        return _from_url(MediaKind.DOCUMENT, url, where, name=text_of(part, "document_name", where))
    return None


def write_media(media: Media) -> dict[str, Any]:
    """Write a part.

    Raises:
        Unsupported: the dialect has no such thing.
    """
    if media.kind is MediaKind.IMAGE:
        return _write_image(media)
    if media.kind is MediaKind.AUDIO:
        form = AUDIO_FORMATS.get(media.mime_type or "")
        if media.data is None or form is None:
            raise Unsupported("audio other than WAV or MP3 in the request itself", "messages")
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": form}}
    if media.kind is MediaKind.DOCUMENT:
        return {"type": "file", "file": _write_file(media)}
    raise Unsupported("video", "messages")


def _read_url(part: Json, name: str, where: str) -> Media:
    value = part.get(name)
    if isinstance(value, str):
        return _from_url(URL_PARTS[name], value, where)
    source = needed_object(part, name, where)
    url = needed_text(source, "url", f"{where}.{name}")
    detail = text_of(source, "detail", f"{where}.{name}")
    return _from_url(URL_PARTS[name], url, where, detail=detail)


def _from_url(
    kind: MediaKind, url: str, where: str, *, detail: str | None = None, name: str | None = None
) -> Media:
    if not url.startswith("data:"):
        return Media(kind, url=url, detail=detail, name=name)
    found = DATA_URL.fullmatch(url)
    if found is None:
        raise Unreadable(f"{where}: a `data:` URL must be in base64.", where)
    mime_type = found["mime"] or None
    return Media(kind, mime_type, found["data"], detail=detail, name=name)


def _read_file(source: Json, where: str) -> Media:
    name = text_of(source, "filename", where)
    file_id = text_of(source, "file_id", where)
    if file_id is not None:
        return Media(MediaKind.DOCUMENT, file_id=file_id, name=name)
    data = text_of(source, "file_data", where)
    if data is None:
        raise wrong(where, "a file with `file_data` or `file_id`")
    if data.startswith("data:"):
        return _from_url(MediaKind.DOCUMENT, data, where, name=name)
    return Media(MediaKind.DOCUMENT, PDF, data, name=name)


def _write_image(media: Media) -> dict[str, Any]:
    if media.file_id is not None:
        raise Unsupported("an image by the id of a file", "messages")
    image: dict[str, Any] = {"url": media.url or _data_url(media, "image/png")}
    if media.detail is not None:
        image["detail"] = media.detail
    return {"type": "image_url", "image_url": image}


def _write_file(media: Media) -> dict[str, Any]:
    if media.file_id is not None:
        return {"file_id": media.file_id}
    if media.data is None:
        raise Unsupported("a document by its URL", "messages")
    return {"filename": media.name or "document.pdf", "file_data": _data_url(media, PDF)}


def _data_url(media: Media, otherwise: str) -> str:
    return f"data:{media.mime_type or otherwise};base64,{media.data}"
