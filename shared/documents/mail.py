"""E-mail (RFC 822) to its headers, its body and its attachments, all still bytes where binary."""

import email
import email.policy
from dataclasses import dataclass
from email.message import EmailMessage

from shared.documents.charset import decode
from shared.documents.extraction import ErrorCode, ExtractionError

HEADERS = ("From", "To", "Cc", "Date", "Subject")
MAX_ATTACHMENTS = 20


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file as it stands in the message."""

    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """`head` is lines of `Name: value`; `body` is text, or HTML when `is_html`."""

    head: str
    body: str
    is_html: bool
    attachments: tuple[Attachment, ...]
    warnings: tuple[str, ...]


def read_mail(data: bytes) -> Mail:
    """Take a message apart. Raises ExtractionError when it has no header of a message."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    lines = [f"{name}: {value}" for name in HEADERS if (value := _header(message, name))]
    if not lines:
        raise ExtractionError(ErrorCode.BROKEN, "The e-mail has no From, To, Date or Subject.")
    part = message.get_body(preferencelist=("plain", "html"))
    body, warning = _text(part) if isinstance(part, EmailMessage) else ("", None)
    attachments, dropped = _attachments(message)
    return Mail(
        head="\n".join(lines),
        body=body.strip(),
        is_html=part is not None and part.get_content_type() == "text/html",
        attachments=attachments,
        warnings=tuple(text for text in (warning, dropped) if text),
    )


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, LookupError, AttributeError, IndexError):
        # The parser of the standard library raises all of these on malformed addresses and dates.
        return ""


def _text(part: EmailMessage) -> tuple[str, str | None]:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return decode(data, declared=part.get_content_charset())


def _attachments(message: EmailMessage) -> tuple[tuple[Attachment, ...], str | None]:
    if not message.is_multipart():
        return (), None
    parts = enumerate(message.iter_attachments(), start=1)
    found = tuple(_attachment(part, number) for number, part in parts)
    if len(found) <= MAX_ATTACHMENTS:
        return found, None
    warning = f"Only the first {MAX_ATTACHMENTS} of {len(found)} attachments were read."
    return found[:MAX_ATTACHMENTS], warning


def _attachment(part: EmailMessage, number: int) -> Attachment:
    name = " ".join((part.get_filename() or f"attachment {number}").split())
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload(0)
        data = inner.as_bytes() if isinstance(inner, EmailMessage) else b""
        return Attachment(f"{name}.eml", "message/rfc822", data)
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    return Attachment(name, part.get_content_type(), data)
