"""Every dialect of generation, by its name."""

from collections.abc import Mapping

from shared.dialects.chat.translator import CHAT
from shared.dialects.completions.translator import COMPLETIONS
from shared.dialects.gemini.translator import GEMINI
from shared.dialects.messages.translator import MESSAGES
from shared.dialects.responses.translator import RESPONSES
from shared.dialects.translator import Translator
from shared.inference.dialect import Dialect

TRANSLATORS: Mapping[Dialect, Translator] = {
    each.dialect: each for each in (CHAT, COMPLETIONS, GEMINI, MESSAGES, RESPONSES)
}


def translator_of(dialect: Dialect) -> Translator:
    """Return what reads and writes a dialect of generation."""
    return TRANSLATORS[dialect]
