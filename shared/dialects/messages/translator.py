"""Anthropic's messages, in neutral words and back."""

from shared.dialects.messages.answers import read_answer, write_answer
from shared.dialects.messages.decoding import MessagesDecoder
from shared.dialects.messages.encoding import MessagesEncoder
from shared.dialects.messages.joined import MessagesJoined
from shared.dialects.messages.reading import read_request
from shared.dialects.messages.writing import write_request
from shared.dialects.translator import Head, Json, Translator
from shared.inference.dialect import Dialect


def encoder(head: Head, _asked: Json) -> MessagesEncoder:
    """Return what writes a stream."""
    return MessagesEncoder(head)


MESSAGES = Translator(
    dialect=Dialect.MESSAGES,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    decoder=MessagesDecoder,
    encoder=encoder,
    joined=MessagesJoined,
)
