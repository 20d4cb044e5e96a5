"""What a client may ask for when it submits a job: the models of the request bodies."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from shared.jobs.bodies import DocumentBody, DocumentTask
from shared.jobs.draft import Endpoint
from shared.jobs.options import JobOptions


class JobSubmit(JobOptions):
    """`POST /v1/jobs`: a request to one of the endpoints, to be performed by a worker."""

    endpoint: Endpoint
    body: dict[str, JsonValue]


class DocumentSubmit(DocumentBody, JobOptions):
    """`POST /v1/documents` with the id of a file that is there already."""


class DocumentForm(DocumentTask, JobOptions):
    """`POST /v1/documents` as a form: these parts, `schema` and `metadata` as JSON, and a `file`."""


class JobLookup(BaseModel):
    """`POST /v1/jobs/lookup`: many jobs in one request."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(max_length=64)]] = Field(min_length=1, max_length=1000)
