"""The operations that list models, and their answers: each vendor's client gets its own vendor's shape."""

from typing import Literal

from pydantic import BaseModel, Field, RootModel

from api.openapi_parts import Answer, Operation
from shared.auth.permissions import Permission


class Model(BaseModel):
    """A model as OpenAI's clients know it."""

    id: str
    object: Literal["model"]
    created: int = Field(description="0: it is not known.")
    owned_by: str = Field(description="The provider.")


class ModelList(BaseModel):
    """All of them at once."""

    object: Literal["list"]
    data: list[Model]


class GeminiModel(BaseModel):
    """A model as Google's clients know it."""

    name: str = Field(description="`models/` and the name.")
    version: str
    displayName: str  # noqa: N815 - Google's name
    description: str
    supportedGenerationMethods: list[str]  # noqa: N815 - Google's name
    inputTokenLimit: int | None = None  # noqa: N815 - Google's name


class GeminiModelList(BaseModel):
    """A page of them."""

    models: list[GeminiModel]
    nextPageToken: str | None = None  # noqa: N815 - Google's name


class MistralModel(BaseModel):
    """A model as Mistral's clients know it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    name: str
    aliases: list[str]
    capabilities: dict[str, bool]
    type: Literal["base"]
    max_context_length: int | None = None


class MistralModelList(BaseModel):
    """All of them at once."""

    object: Literal["list"]
    data: list[MistralModel]


class AnthropicModel(BaseModel):
    """A model as Anthropic's clients know it."""

    id: str
    type: Literal["model"]
    display_name: str
    created_at: str
    lifecycle: Literal["active"]
    max_input_tokens: int | None
    max_tokens: None = Field(description="It is not known.")


class AnthropicModelList(BaseModel):
    """A page of them."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


class AnyModel(RootModel[Model | GeminiModel | MistralModel | AnthropicModel]):
    """A model as the caller's client knows it."""


class AnyModelList(RootModel[ModelList | GeminiModelList | MistralModelList | AnthropicModelList]):
    """Models as the caller's client knows them."""


LISTS = (
    Operation(
        "listModels",
        "GET",
        "/v1/models",
        "List the models that may be named",
        {"200": Answer("All of them; Google's and Anthropic's clients get pages.", AnyModelList)},
        Permission.JOBS_READ,
        parameters=("pageSize", "pageToken"),
        errors=(400,),
    ),
    Operation(
        "getModel",
        "GET",
        "/v1/models/{model}",
        "Get a model; its name may have slashes",
        {"200": Answer("The model.", AnyModel)},
        Permission.JOBS_READ,
        parameters=("model",),
        errors=(404,),
    ),
)
