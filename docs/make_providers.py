"""Write docs/providers.md from the registry:  python docs/make_providers.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from shared.inference.dialect import Dialect
from shared.inference.vendors import ROWS, AuthHeader, Vendor, Wire

PAGE = Path(__file__).parent / "providers.md"
HEAD = """# Providers

Made by `python docs/make_providers.py` from the registry in `shared/inference/vendors.py`; a test keeps it current.

A deployment's `provider` is one of these names. *Speaks* is what a provider hears and answers in its own words: such
requests go through as they are, unknown keys included. What a client asks in another dialect is translated both ways;
what a provider has no words for is an error that names it, and what was only tuning is left out and told
([`dropped`](api.md#the-job)).

| `provider` | `base_url` if none is given | key | speaks |
|---|---|---|---|
"""
TAIL = """
**azure** takes `https://NAME.openai.azure.com/openai` and has the deployment's `model` in the path, **azure-v1**
`https://NAME.openai.azure.com/openai/v1`. vLLM's own port is Penstock's as well: on one machine, give one of them
another. **openai-compatible** is anybody else who speaks OpenAI's dialect.

**vertex** takes `https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION/publishers/google` and
an access token as its key. It is told whose each turn is, and no ids of calls, which it does not know. Models with
`gemini` or `maas` in their names embed contents there, all others by `predict`. A deployment's `model` may be an endpoint
of your own (`endpoints/1234`). **gemini-openai** is Google's own translation from OpenAI's dialect: `gemini` does without
it.

**openai-responses** is OpenAI for models that its Responses API alone has: chats and all others are translated to it.

What differs between vendors of one dialect is data in their rows:

| `provider` | renamed for it | its key goes into | otherwise |
|---|---|---|---|
"""
LAST = """
## The long tail

**cohere** and **litellm** come through [litellm](https://docs.litellm.ai), an extra of the workers' installation:
`pip install 'penstock[litellm]'`. It is imported on the first call to such a deployment, which takes seconds and some
200 MB. With `provider = "litellm"` the deployment's `model` is litellm's, its own prefix included
(`replicate/meta/llama-3`), and `base_url` is what litellm calls `api_base`. Streams without a reported usage are
billed by litellm's estimate, and litellm does not pass on how long a provider asks to wait. Of a
client's request litellm hears only what OpenAI documents: its own arguments (`base_url`, `fallbacks`, …) would say where
a call goes and with whose key, so they are refused. It fetches no picture by its URL: send `data:` URLs to such models.
"""
NAMES = {
    Dialect.CHAT: "chat",
    Dialect.COMPLETIONS: "completions",
    Dialect.RESPONSES: "responses",
    Dialect.MESSAGES: "Anthropic's messages",
    Dialect.GEMINI: "Gemini's contents",
    Dialect.EMBEDDINGS: "embeddings",
    Dialect.GEMINI_EMBEDDINGS: "Gemini's embeddings",
}


def page() -> str:
    """Return the whole page."""
    differing = [line for row in ROWS if (line := _difference(row))]
    return HEAD + "".join(map(_line, ROWS)) + TAIL + "".join(differing) + LAST


def _line(row: Vendor) -> str:
    key = "needed" if row.needs_key else "if it asks for one"
    address = f"`{row.base_url}`" if row.base_url else "yours"
    if row.wire is Wire.SANDBOX:
        address, key = "built in: [the sandbox](configuration.md#the-sandbox)", "none"
    elif row.wire is Wire.LITELLM:
        address = "litellm's"
    speaks = ", ".join(name for dialect, name in NAMES.items() if dialect in row.dialects)
    return f"| `{row.name}` | {address} | {key} | {speaks} |\n"


def _difference(row: Vendor) -> str:
    renamed = ", ".join(f"`{ours}` → `{theirs}`" for ours, theirs in row.renames.items())
    header = "" if row.auth is AuthHeader.BEARER else f"`{row.auth}`"
    others = [f"`{name}` is left out" for name in sorted(row.drops)]
    others += [f"`{name}={value}` in the query" for name, value in row.query.items()]
    others += [] if row.stream_usage else ["reports a stream's usage unasked"]
    if not (renamed or header or others):
        return ""
    return f"| `{row.name}` | {renamed or '–'} | {header or '`authorization`'} | {'; '.join(others) or '–'} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
