"""What is shown to a Gemini model, or by one: `inlineData` and `fileData`, both ways. Pure."""

import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, urlsplit

from shared.dialects.gemini.fields import fields, text
from shared.dialects.translator import Unsupported
from shared.inference.conversation import Media, MediaKind

OWN_FILE = re.compile(r"^(?:https://generativelanguage\.googleapis\.com/\S*?/)?files/[^/]+$")
"""Google's own files, which only Google can read."""
VIDEOS = frozenset({"www.youtube.com", "youtube.com", "youtu.be"})
BY_ENDING = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".html": "text/html",
    ".csv": "text/csv",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
}


def kind_of(mime_type: str | None) -> MediaKind:
    """Return what sort of thing a MIME type is."""
    family = (mime_type or "").partition("/")[0].lower()
    kinds = {"image": MediaKind.IMAGE, "audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
    return kinds.get(family, MediaKind.DOCUMENT)


def read_inline(value: object, where: str) -> Media:
    """Read `inlineData`.

    Raises:
        Unreadable: it has no data, or does not say of which type.
    """
    given = fields(value, where)
    mime_type = text(given, "mimeType", where, needed=True)
    data = text(given, "data", where, needed=True)
    return Media(kind_of(mime_type), mime_type, data, name=text(given, "displayName", where))


def read_file(value: object, where: str) -> Media:
    """Read `fileData`.

    Raises:
        Unreadable: it has no address.
    """
    given = fields(value, where)
    uri = text(given, "fileUri", where, needed=True) or ""
    mime_type = text(given, "mimeType", where)
    if OWN_FILE.match(uri):
        return Media(kind_of(mime_type), mime_type, file_id=uri)
    shows_video = mime_type is None and _split(uri).hostname in VIDEOS
    kind = MediaKind.VIDEO if shows_video else kind_of(mime_type or _guessed(uri))
    return Media(kind, mime_type, url=uri)


def written_media(part: Media) -> dict[str, Any]:
    """Write something as a part; an address goes as it is, with its type where it can be told.

    Raises:
        Unsupported: it is another provider's file, or its type is not told.
    """
    if part.data is not None:
        if part.mime_type is None:
            raise Unsupported("media without a MIME type")
        return {"inlineData": {"mimeType": part.mime_type, "data": part.data}}
    uri = part.url if part.url is not None else part.file_id or ""
    if part.url is None and not OWN_FILE.match(uri):
        raise Unsupported("files of another provider, by their id")
    mime_type = part.mime_type or _guessed(uri)
    return {"fileData": {"fileUri": uri, **({"mimeType": mime_type} if mime_type else {})}}


def _guessed(uri: str) -> str | None:
    return BY_ENDING.get(PurePosixPath(_split(uri).path).suffix.lower())


def _split(uri: str) -> SplitResult:
    try:
        return urlsplit(uri)
    except ValueError:
        # Google may know what it means; we only wanted to guess.
        return SplitResult("", "", "", "", "")
