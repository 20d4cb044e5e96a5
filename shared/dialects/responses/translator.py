"""OpenAI's Responses API, in neutral words and back."""

from shared.dialects.responses.answers import read_answer, write_answer
from shared.dialects.responses.decoding import ResponsesDecoder
from shared.dialects.responses.encoding import ResponsesEncoder
from shared.dialects.responses.joined import ResponsesJoined
from shared.dialects.responses.reading import read_request
from shared.dialects.responses.resource import adopted
from shared.dialects.responses.writing import write_request
from shared.dialects.translator import Translator
from shared.inference.dialect import Dialect

RESPONSES = Translator(
    dialect=Dialect.RESPONSES,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    decoder=ResponsesDecoder,
    encoder=ResponsesEncoder,
    joined=ResponsesJoined,
    adopted=adopted,
)
