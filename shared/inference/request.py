"""What to ask a model: neutral about who serves it."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from shared.inference.dialect import Dialect


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """One call: `body` is in `dialect`, which its provider speaks; unknown keys are included.

    `model` is the provider's own name of the model; it replaces the body's on the wire.
    """

    model: str
    body: Mapping[str, JsonValue]
    dialect: Dialect = Dialect.CHAT
