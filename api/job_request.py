"""What a client may ask for when it submits a job: the models of the request bodies."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from shared.jobs.bodies import DocumentBody, DocumentTask
from shared.jobs.endpoints import Endpoint, parse_endpoint
from shared.jobs.options import JobOptions


class JobSubmit(JobOptions):
    """`POST /v1/jobs`: a request to one of the endpoints, to be performed by a worker."""

    endpoint: Endpoint
    body: dict[str, JsonValue]

    @model_validator(mode="before")
    @classmethod
    def _read_endpoint(cls, given: Any) -> Any:
        """Take an endpoint as a client's base URL spells it, with a model in the path where one is."""
        if isinstance(given, dict) and isinstance(given.get("endpoint"), str):
            return _with_endpoint(given)
        return given


class DocumentSubmit(DocumentBody, JobOptions):
    """`POST /v1/documents` with the id of a file that is there already."""


class DocumentForm(DocumentTask, JobOptions):
    """`POST /v1/documents` as a form: these parts, `schema` and `metadata` as JSON, and a `file`."""


def _with_endpoint(given: dict[str, Any]) -> dict[str, Any]:
    found = parse_endpoint(given["endpoint"])
    if found is None:
        return given
    endpoint, model = found
    body = given.get("body")
    if model is not None and isinstance(body, dict):
        body = {**body, "model": model}
    return {**given, "endpoint": endpoint, "body": body}


class JobLookup(BaseModel):
    """`POST /v1/jobs/lookup`: many jobs in one request."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=1000)
