"""Every operation of the API as a row of data; a test holds the rows against the routes."""

from collections.abc import Mapping

from api import openapi_admin as admin
from api import openapi_anthropic as anthropic
from api import openapi_batches as batches
from api import openapi_events as events
from api import openapi_files as files
from api import openapi_gemini as gemini
from api import openapi_known_models as known_models
from api import openapi_mistral as mistral
from api import openapi_models as answers
from api import openapi_openai as openai
from api import openapi_responses as responses
from api import openapi_webhooks as webhooks
from api.job_request import DocumentSubmit, JobLookup, JobSubmit
from api.keys import KeyCreate
from api.openapi_parts import FORM, JSON, TEXT, Answer, Operation
from shared.auth.permissions import Permission

_PAGE = ("after", "limit", "order")
_SUBMIT = ("Idempotency-Key", "Prefer")
_SUBMIT_ERRORS = (400, 404, 409, 413, 422, 429)
_STORED = ("Location", "Retry-After", "Idempotent-Replayed", "Preference-Applied", "ETag")
_ONE = ("ETag", "Retry-After")
_SUBMITTED = {
    "202": Answer("The job, stored.", answers.Job, _STORED),
    "200": Answer("The job, ended within the time of `Prefer: wait`.", answers.Job, _STORED),
}
_SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}},
    "required": ["total"],
    "additionalProperties": False,
}

JOBS = (
    Operation(
        "createJob",
        "POST",
        "/v1/jobs",
        "Submit a job",
        _SUBMITTED,
        Permission.JOBS_WRITE,
        {JSON: JobSubmit},
        {
            "endpoint": "/v1/chat/completions",
            "body": {
                "model": "sandbox/echo",
                "messages": [{"role": "user", "content": "Say hello."}],
            },
            "metadata": {"team": "billing"},
        },
        parameters=_SUBMIT,
        errors=_SUBMIT_ERRORS,
    ),
    Operation(
        "listJobs",
        "GET",
        "/v1/jobs",
        "List jobs, newest first, without their results",
        {"200": Answer("A page.", answers.JobList)},
        Permission.JOBS_READ,
        parameters=(
            "status",
            "endpoint",
            "of_batch",
            "metadata",
            "created_after",
            "created_before",
            *_PAGE,
        ),
        errors=(400,),
    ),
    Operation(
        "lookUpJobs",
        "POST",
        "/v1/jobs/lookup",
        "Get many jobs by id, with their results",
        {"200": Answer("The jobs that there are.", answers.JobsFound)},
        Permission.JOBS_READ,
        {JSON: JobLookup},
        {"ids": ["job_068g2m9c0q3hk6v1r7d5s4b2n8"]},
        errors=(400, 413),
    ),
    Operation(
        "getJob",
        "GET",
        "/v1/jobs/{job_id}",
        "Get a job, or wait for its end",
        {
            "200": Answer("The job.", answers.Job, _ONE),
            "304": Answer("You have this state of it.", headers=_ONE, media_type=None),
        },
        Permission.JOBS_READ,
        parameters=("job_id", "wait", "If-None-Match"),
        errors=(400, 404, 410),
    ),
    Operation(
        "deleteJob",
        "DELETE",
        "/v1/jobs/{job_id}",
        "Delete an ended job's request and result",
        {"200": Answer("It is gone.", answers.Deleted)},
        Permission.JOBS_WRITE,
        parameters=("job_id",),
        errors=(404, 409, 410),
    ),
    Operation(
        "getJobResult",
        "GET",
        "/v1/jobs/{job_id}/result",
        "Get the raw answer",
        {
            "202": Answer("There is none yet: the job.", answers.Job, _ONE),
            "default": Answer("The provider's answer, with the provider's status."),
        },
        Permission.JOBS_READ,
        parameters=("job_id", "wait"),
        errors=(400, 404, 409, 410),
    ),
    Operation(
        "cancelJob",
        "POST",
        "/v1/jobs/{job_id}/cancel",
        "Cancel a job",
        {
            "200": Answer("The job, ended.", answers.Job, _ONE),
            "202": Answer("The job, whose call is being closed.", answers.Job, _ONE),
        },
        Permission.JOBS_WRITE,
        parameters=("job_id",),
        errors=(404, 410),
    ),
    Operation(
        "retryJob",
        "POST",
        "/v1/jobs/{job_id}/retry",
        "Open a new generation of a job that failed, expired or was cancelled",
        {"202": Answer("The job, queued again.", answers.Job, ("Location", *_ONE))},
        Permission.JOBS_WRITE,
        parameters=("job_id",),
        errors=(404, 409, 410),
    ),
)

DOCUMENTS = (
    Operation(
        "createDocumentJob",
        "POST",
        "/v1/documents",
        "Read a document into JSON of a schema",
        _SUBMITTED,
        Permission.JOBS_WRITE,
        {JSON: DocumentSubmit, FORM: answers.DocumentUpload},
        {
            "model": "sandbox/extract",
            "file_id": "file-068g2m9c0q3hk6v1r7d5s4b2n8",
            "instructions": "Read the total of this invoice.",
            "schema": _SCHEMA,
        },
        parameters=_SUBMIT,
        errors=_SUBMIT_ERRORS,
    ),
)

KEYS = (
    Operation(
        "createKey",
        "POST",
        "/v1/keys",
        "Make a key",
        {"201": Answer("The key, shown this once.", answers.NewKey)},
        Permission.KEYS_MANAGE,
        {JSON: KeyCreate},
        {"name": "nightly import", "role": "member"},
        errors=(400, 413),
    ),
    Operation(
        "listKeys",
        "GET",
        "/v1/keys",
        "List keys, newest first",
        {"200": Answer("A page.", answers.KeyList)},
        Permission.KEYS_MANAGE,
        parameters=_PAGE,
        errors=(400,),
    ),
    Operation(
        "revokeKey",
        "DELETE",
        "/v1/keys/{key_id}",
        "End a key",
        {"200": Answer("The key, which works no more.", answers.Key)},
        Permission.KEYS_MANAGE,
        parameters=("key_id",),
        errors=(404, 409),
    ),
)

OPERATIONS = (
    Operation(
        "alive",
        "GET",
        "/healthz",
        "Tell whether the process answers",
        {"200": Answer("It does.", answers.Alive)},
    ),
    Operation(
        "ready",
        "GET",
        "/readyz",
        "Tell whether jobs are stored and performed",
        {
            "200": Answer("They are.", answers.Readiness),
            "503": Answer("They are not; the body says why.", answers.Readiness),
        },
    ),
    Operation(
        "metrics",
        "GET",
        "/metrics",
        "Numbers for Prometheus",
        {"200": Answer("Prometheus text.", media_type=TEXT)},
    ),
    Operation(
        "openapi",
        "GET",
        "/openapi.json",
        "This document",
        {"200": Answer("An OpenAPI 3.1 document.")},
    ),
)

ALL = (
    *JOBS,
    *events.EVENTS,
    *openai.DIRECT,
    *openai.LEGACY,
    *responses.RESPONSES,
    *known_models.LISTS,
    *anthropic.MESSAGES,
    *gemini.GEMINI,
    *DOCUMENTS,
    *files.FILES,
    *batches.BATCHES,
    *anthropic.BATCHES,
    *mistral.BATCHES,
    *webhooks.ENDPOINTS,
    *webhooks.DELIVERIES,
    *KEYS,
    *admin.ADMIN,
    *OPERATIONS,
)
UNDER: Mapping[str, frozenset[str]] = {
    "/openai": frozenset(
        each.name
        for each in (
            *openai.DIRECT,
            *openai.LEGACY,
            *responses.RESPONSES,
            *known_models.LISTS,
            *files.FILES,
            *batches.OPENAI,
            *webhooks.ENDPOINTS,
        )
    ),
    "/anthropic": frozenset(
        each.name for each in (*anthropic.MESSAGES, *anthropic.BATCHES, *known_models.LISTS)
    ),
    "/gemini": frozenset(
        (*(each.name for each in (*gemini.GEMINI, *known_models.LISTS)), *gemini.SHARED)
    ),
    "/mistral": frozenset(
        each.name for each in (*openai.DIRECT, *known_models.LISTS, *files.FILES, *mistral.BATCHES)
    ),
}
"""What is served behind a prefix too: the names of the operations."""
