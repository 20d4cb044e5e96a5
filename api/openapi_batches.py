"""The operations of batches."""

from api.batches.request import BatchAppend, BatchRetry, BatchSubmit
from api.openapi_batch_models import Batch, BatchList, BatchReply, BatchUpload
from api.openapi_events import EventToken
from api.openapi_models import Deleted
from api.openapi_parts import FORM, JSON, Answer, Operation
from shared.auth.permissions import Permission

LINES = "application/x-ndjson"
_LINE = {
    "custom_id": "one",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "sandbox/echo", "messages": [{"role": "user", "content": "Say hello."}]},
}
_ONE = {"200": Answer("The batch.", Batch)}

OPENAI = (
    Operation(
        "createBatch",
        "POST",
        "/v1/batches",
        "Create a batch, or try it",
        {
            "200": Answer(
                "The batch, stored; with `dry_run` what it would be.",
                BatchReply,
                ("Idempotent-Replayed",),
            )
        },
        Permission.JOBS_WRITE,
        {JSON: BatchSubmit, FORM: BatchUpload},
        {"requests": [_LINE], "completion_window": "24h", "metadata": {"team": "billing"}},
        parameters=("Idempotency-Key",),
        errors=(400, 404, 413, 422, 429),
    ),
    Operation(
        "listBatches",
        "GET",
        "/v1/batches",
        "List batches, newest first",
        {"200": Answer("A page.", BatchList)},
        Permission.JOBS_READ,
        parameters=("batch_status", "after", "limit", "order"),
        errors=(400,),
    ),
    Operation(
        "getBatch",
        "GET",
        "/v1/batches/{batch_id}",
        "Get a batch",
        _ONE,
        Permission.JOBS_READ,
        parameters=("batch_id",),
        errors=(404,),
    ),
    Operation(
        "cancelBatch",
        "POST",
        "/v1/batches/{batch_id}/cancel",
        "Cancel a batch; what has ended is kept",
        _ONE,
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
        errors=(404, 409),
    ),
)
BATCHES = (
    *OPENAI,
    Operation(
        "deleteBatch",
        "DELETE",
        "/v1/batches/{batch_id}",
        "Delete an ended batch's requests, results and files",
        {"200": Answer("It is gone.", Deleted)},
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
        errors=(404, 409),
    ),
    Operation(
        "getBatchResults",
        "GET",
        "/v1/batches/{batch_id}/results",
        "Download the lines that have ended, while the batch runs and after",
        {
            "200": Answer(
                "A JSON object a line, in the order in which they ended.", media_type=LINES
            )
        },
        Permission.JOBS_READ,
        parameters=("batch_id", "after_number", "most_lines"),
        errors=(400, 404, 410),
    ),
    Operation(
        "followBatch",
        "GET",
        "/v1/batches/{batch_id}/events",
        "Follow a batch: server-sent events until it has ended",
        {
            "200": Answer("Events, each with one line of JSON.", media_type="text/event-stream"),
            "204": Answer("You have been told its end.", media_type=None),
        },
        Permission.JOBS_READ,
        parameters=("batch_id", "Last-Event-ID", "last_event_id", "token"),
        errors=(404, 429),
    ),
    Operation(
        "createBatchEventToken",
        "POST",
        "/v1/batches/{batch_id}/events/token",
        "Make a token with which a page follows a batch",
        {"200": Answer("The token.", EventToken)},
        Permission.JOBS_READ,
        parameters=("batch_id",),
        errors=(404,),
    ),
    Operation(
        "addBatchRequests",
        "POST",
        "/v1/batches/{batch_id}/requests",
        "Add lines to an open batch",
        {"202": Answer("The batch; the lines are stored.", Batch, ("Idempotent-Replayed",))},
        Permission.JOBS_WRITE,
        {JSON: BatchAppend},
        {"requests": [{**_LINE, "custom_id": "two"}]},
        parameters=("batch_id", "Idempotency-Key"),
        errors=(400, 404, 409, 413, 422, 429),
    ),
    Operation(
        "closeBatch",
        "POST",
        "/v1/batches/{batch_id}/close",
        "Take no more lines",
        _ONE,
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
        errors=(404,),
    ),
    Operation(
        "pauseBatch",
        "POST",
        "/v1/batches/{batch_id}/pause",
        "Begin no further call of a batch",
        _ONE,
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
        errors=(404, 409),
    ),
    Operation(
        "resumeBatch",
        "POST",
        "/v1/batches/{batch_id}/resume",
        "Let a paused batch go on",
        _ONE,
        Permission.JOBS_WRITE,
        parameters=("batch_id",),
        errors=(404, 409),
    ),
    Operation(
        "retryBatch",
        "POST",
        "/v1/batches/{batch_id}/retry",
        "Run the failed and expired lines once more",
        {"202": Answer("The batch, running again.", Batch)},
        Permission.JOBS_WRITE,
        {JSON: BatchRetry},
        {"completion_window": "2h"},
        parameters=("batch_id",),
        errors=(400, 404, 409, 413),
    ),
)
