"""The operations of operators: deployments, routes and the configuration, as models."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field, JsonValue

from api.openapi_parts import JSON, Answer, Operation
from shared.auth.permissions import Permission
from shared.routing.model import Capability, Failure, OnSlow, Strategy
from shared.routing.rows import BreakerRow, DeploymentRow, DifficultyRow, HealthRow, RouteRow

BreakerName = Literal["closed", "open", "half_open", "unknown"]


class DeploymentKey(BaseModel):
    """A key of a pool, which is never shown again, and how its lane is doing (null: unknown)."""

    hint: str
    lane: str = Field(description="As metrics and jobs name it.")
    under_way: int | None = Field(description="Calls at this moment.")
    limit: int | None = Field(description="How many calls may be under way now.")
    paused_s: float | None = Field(description="The provider wants to be left alone for so long.")


class DeploymentBreaker(BaseModel):
    """Whether a deployment is left alone because its calls failed."""

    state: BreakerName
    opened: int | None = Field(description="How often in a row.")
    probe_in_s: float | None = Field(description="After so long one call shows whether it is well.")


class KnownPrice(BaseModel):
    """Dollars for a million tokens."""

    input_usd: float
    output_usd: float
    cached_usd: float


class _Stored(BaseModel):
    source: Literal["file", "api"] = Field(description="What is in the file is changed there.")
    created_at: AwareDatetime | None
    updated_at: AwareDatetime | None


class DeploymentView(_Stored):
    """A deployment and its state."""

    object: Literal["deployment"]
    name: str
    provider: str
    model: str
    base_url: str | None
    keys: list[DeploymentKey]
    headers: dict[str, str] = Field(description="Their names, and hints of their values.")
    region: str | None
    rpm: int | None
    tpm: int | None
    concurrency: int
    timeout_s: float | None
    price: KnownPrice | None
    context_tokens: int | None
    max_output_tokens: int | None
    vision: bool
    capabilities: list[Capability] | None
    weight: float
    health: HealthRow | None
    options: dict[str, JsonValue]
    breaker: DeploymentBreaker


class RouteView(_Stored):
    """A route."""

    object: Literal["route"]
    model: str
    strategy: Strategy
    deployments: list[str]
    weights: dict[str, float]
    tiers: dict[str, list[str]]
    difficulty: DifficultyRow | None
    fallback_on: list[Failure]
    first_token_s: float | None
    on_slow: OnSlow
    default_answer: str | None
    max_attempts: int | None
    breaker: BreakerRow


class DeploymentViews(BaseModel):
    """All deployments."""

    object: Literal["list"]
    data: list[DeploymentView]


class RouteViews(BaseModel):
    """All routes."""

    object: Literal["list"]
    data: list[RouteView]


class DeploymentDeleted(BaseModel):
    """The deployment that was deleted."""

    object: Literal["deployment.deleted"]
    name: str
    deleted: Literal[True]


class RouteDeleted(BaseModel):
    """The route that was deleted."""

    object: Literal["route.deleted"]
    model: str
    deleted: Literal[True]


class ConfigProblem(BaseModel):
    """What is wrong; `line` is of the file."""

    line: int | None
    field: str | None
    message: str


class ConfigFile(BaseModel):
    """The operator's file, as it is in use."""

    path: str
    sha256: str | None


class ConfigView(BaseModel):
    """The configuration in use; while there are `errors` it is older than the one found last."""

    object: Literal["config"]
    valid: bool
    errors: list[ConfigProblem]
    revision: int = Field(description="How often deployments and routes were changed by the API.")
    file: ConfigFile
    loaded_at: AwareDatetime | None
    deployments: int
    routes: int


_MANAGE = Permission.CONFIG_MANAGE
_DEPLOYMENT = {
    "name": "gpt-eu",
    "provider": "openai",
    "model": "gpt-4o",
    "keys": ["sk-…"],
    "region": "eu-west",
    "rpm": 500,
}
_ROUTE = {"model": "best", "strategy": "least_busy", "deployments": ["gpt-eu", "own-gpu"]}

ADMIN = (
    Operation(
        "createDeployment",
        "POST",
        "/v1/deployments",
        "Add a deployment",
        {"201": Answer("The deployment.", DeploymentView)},
        _MANAGE,
        {JSON: DeploymentRow},
        _DEPLOYMENT,
        errors=(400, 409, 413),
    ),
    Operation(
        "listDeployments",
        "GET",
        "/v1/deployments",
        "List deployments with their states",
        {"200": Answer("All of them.", DeploymentViews)},
        _MANAGE,
    ),
    Operation(
        "getDeployment",
        "GET",
        "/v1/deployments/{name}",
        "Get a deployment with its state",
        {"200": Answer("The deployment.", DeploymentView)},
        _MANAGE,
        parameters=("name",),
        errors=(404,),
    ),
    Operation(
        "putDeployment",
        "PUT",
        "/v1/deployments/{name}",
        "Store a deployment; keys and headers that are not given stay as they are",
        {
            "200": Answer("The deployment, changed.", DeploymentView),
            "201": Answer("The deployment, new.", DeploymentView),
        },
        _MANAGE,
        {JSON: DeploymentRow},
        _DEPLOYMENT,
        parameters=("name",),
        errors=(400, 409, 413),
    ),
    Operation(
        "deleteDeployment",
        "DELETE",
        "/v1/deployments/{name}",
        "Delete a deployment that no route names",
        {"200": Answer("It is deleted.", DeploymentDeleted)},
        _MANAGE,
        parameters=("name",),
        errors=(404, 409),
    ),
    Operation(
        "createRoute",
        "POST",
        "/v1/routes",
        "Add a route",
        {"201": Answer("The route.", RouteView)},
        _MANAGE,
        {JSON: RouteRow},
        _ROUTE,
        errors=(400, 409, 413),
    ),
    Operation(
        "listRoutes",
        "GET",
        "/v1/routes",
        "List routes",
        {"200": Answer("All of them.", RouteViews)},
        _MANAGE,
    ),
    Operation(
        "getRoute",
        "GET",
        "/v1/routes/{model}",
        "Get a route",
        {"200": Answer("The route.", RouteView)},
        _MANAGE,
        parameters=("model",),
        errors=(404,),
    ),
    Operation(
        "putRoute",
        "PUT",
        "/v1/routes/{model}",
        "Store a route",
        {
            "200": Answer("The route, changed.", RouteView),
            "201": Answer("The route, new.", RouteView),
        },
        _MANAGE,
        {JSON: RouteRow},
        _ROUTE,
        parameters=("model",),
        errors=(400, 409, 413),
    ),
    Operation(
        "deleteRoute",
        "DELETE",
        "/v1/routes/{model}",
        "Delete a route",
        {"200": Answer("It is deleted.", RouteDeleted)},
        _MANAGE,
        parameters=("model",),
        errors=(404, 409),
    ),
    Operation(
        "getConfig",
        "GET",
        "/v1/config",
        "Tell which configuration is in use, and what is wrong with a newer one",
        {"200": Answer("The configuration.", ConfigView)},
        _MANAGE,
    ),
)
