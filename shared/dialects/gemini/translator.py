"""Google's `generateContent`, in neutral words and back."""

from shared.dialects.gemini.answers import read_answer, write_answer
from shared.dialects.gemini.decoding import GeminiDecoder
from shared.dialects.gemini.encoding import GeminiEncoder
from shared.dialects.gemini.joined import GeminiJoined
from shared.dialects.gemini.reading import read_request
from shared.dialects.gemini.writing import write_request
from shared.dialects.translator import Translator
from shared.inference.dialect import Dialect

GEMINI = Translator(
    dialect=Dialect.GEMINI,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    decoder=GeminiDecoder,
    encoder=GeminiEncoder,
    joined=GeminiJoined,
)
