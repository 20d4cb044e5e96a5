"""OpenAI's legacy completions, in neutral words and back."""

from shared.dialects.completions.answers import read_answer, write_answer
from shared.dialects.completions.decoding import CompletionDecoder
from shared.dialects.completions.encoding import CompletionEncoder
from shared.dialects.completions.joined import CompletionJoined
from shared.dialects.completions.reading import read_request
from shared.dialects.completions.writing import write_request
from shared.dialects.translator import Translator
from shared.inference.dialect import Dialect

COMPLETIONS = Translator(
    dialect=Dialect.COMPLETIONS,
    read_request=read_request,
    write_request=write_request,
    read_answer=read_answer,
    write_answer=write_answer,
    decoder=CompletionDecoder,
    encoder=CompletionEncoder,
    joined=CompletionJoined,
)
