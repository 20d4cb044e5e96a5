"""OpenAI's chat completions, in neutral words and back."""

from shared.dialects.chat.answers import read_answer, write_answer
from shared.dialects.chat.decoding import ChatDecoder
from shared.dialects.chat.encoding import ChatEncoder
from shared.dialects.chat.joined import ChatJoined
from shared.dialects.chat.reading import read_request
from shared.dialects.chat.writing import write_request
from shared.dialects.translator import Translator
from shared.inference.dialect import Dialect

CHAT = Translator(
    dialect=Dialect.CHAT,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    decoder=ChatDecoder,
    encoder=ChatEncoder,
    joined=ChatJoined,
)
