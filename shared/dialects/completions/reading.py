"""A legacy completion, read into neutral words: the prompt is what a user says; pure."""

from shared.dialects.chat.fields import flag, text_of, whole_number, wrong
from shared.dialects.chat.reading import SAMPLING, SILENT, read_sampling, read_stop, unknown_keys
from shared.dialects.translator import Json, Unsupported
from shared.inference.conversation import Message, Role, Text
from shared.inference.generation import GenerationRequest, Tuning

KNOWN = frozenset({"prompt", "echo", "suffix", "max_tokens", "stop", "n", "logprobs", "logit_bias"})


def read_request(body: Json) -> GenerationRequest:
    """Read a request.

    Raises:
        Unreadable: it is no request of this dialect.
        Unsupported: no conversation says it: token numbers, several prompts, an echo, a suffix.
    """
    if flag(body, "echo"):
        raise Unsupported("an echo of the prompt", "echo")
    if text_of(body, "suffix"):
        raise Unsupported("a suffix", "suffix")
    return GenerationRequest(
        messages=(Message(Role.USER, (Text(_prompt(body)),)),),
        max_tokens=whole_number(body, "max_tokens"),
        stop=read_stop(body),
        choices=whole_number(body, "n") or 1,
        logprobs=whole_number(body, "logprobs"),
        tuning=Tuning(**read_sampling(body)),
        unknown=unknown_keys(body, KNOWN | SAMPLING | SILENT),
    )


def _prompt(body: Json) -> str:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    if not isinstance(prompt, list) or not prompt:
        raise wrong("prompt", "a text, a list of texts or of token numbers")
    if isinstance(prompt[0], int):
        raise Unsupported("a prompt of token numbers", "prompt")
    raise Unsupported("several prompts at once", "prompt")
