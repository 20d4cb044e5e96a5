from email.message import EmailMessage

import pytest

from shared.documents.extraction import ErrorCode, ExtractionError
from shared.documents.mail import MAX_ATTACHMENTS, read_mail


def message(body: str = "Hello,\n\nTotal: 5\n") -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Zoë Müller <zoe@a.example>"
    mail["To"] = "b@b.example"
    mail["Subject"] = "Grüße 👋"
    mail.set_content(body)
    return mail


def test_encoded_headers_are_decoded_into_lines() -> None:
    found = read_mail(message().as_bytes())

    assert found.head == "From: Zoë Müller <zoe@a.example>\nTo: b@b.example\nSubject: Grüße 👋"
    assert found.body == "Hello,\n\nTotal: 5"
    assert not found.is_html
    assert found.attachments == ()


def test_plain_text_is_preferred_and_html_taken_when_alone() -> None:
    both = message()
    both.add_alternative("<p>Hello</p>", subtype="html")
    alone = EmailMessage()
    alone["From"] = "a@a.example"
    alone.set_content("<p>Hello</p>", subtype="html")

    assert read_mail(both.as_bytes()).body == "Hello,\n\nTotal: 5"
    assert read_mail(alone.as_bytes()).is_html


def test_attachments_keep_name_type_and_bytes() -> None:
    mail = message()
    mail.add_attachment(b"a,b", maintype="text", subtype="csv", filename="runs.csv")
    mail.add_attachment(message("inner"), filename="old.eml")

    first, second = read_mail(mail.as_bytes()).attachments

    assert (first.filename, first.content_type, first.data) == ("runs.csv", "text/csv", b"a,b")
    assert second.content_type == "message/rfc822"
    assert read_mail(second.data).body == "inner"


def test_more_attachments_than_the_limit_are_left_out_with_a_warning() -> None:
    mail = message()
    for number in range(MAX_ATTACHMENTS + 1):
        mail.add_attachment(b"x", maintype="text", subtype="plain", filename=f"{number}.txt")

    found = read_mail(mail.as_bytes())

    assert len(found.attachments) == MAX_ATTACHMENTS
    assert found.warnings


@pytest.mark.parametrize(
    "broken",
    [
        b"From: a@a.example\nContent-Type: text/plain; charset=nonsense\n\nhello",
        b"From: <<>>@@\nDate: not a date\n\nhello",
        b"From: a@a.example\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhello",
    ],
)
def test_malformed_messages_still_give_their_text(broken: bytes) -> None:
    found = read_mail(broken)

    assert "hello" in found.body or "hello" in str(found.attachments)


def test_text_without_any_header_is_no_mail() -> None:
    with pytest.raises(ExtractionError) as caught:
        read_mail(b"hello\nworld")

    assert caught.value.code is ErrorCode.BROKEN
