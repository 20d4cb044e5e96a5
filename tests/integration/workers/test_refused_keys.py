"""A key that a provider refuses: its operator's trouble, and nothing of it reaches a tenant."""

import json

from tests.fakes.upstream_client import rule
from tests.integration.workers.conftest import Bench

WORDS = "Incorrect API key provided: sk-proj-Zx93. You can find your key in your account."


async def test_what_a_provider_says_of_a_key_stays_with_us(bench: Bench) -> None:
    body = {"error": {"message": WORDS, "type": "invalid_request_error", "code": "invalid_api_key"}}
    bench.upstream.script(rule("status", status=401, body=json.dumps(body)))

    job_id = await bench.submit("hello")
    job = await bench.run(job_id)

    (attempt,) = await bench.attempts(job_id)
    assert (job["state"], attempt["error_code"]) == ("failed", "auth_failed")
    told = repr(dict(job)) + repr(dict(attempt))
    assert "sk-proj" not in told
    assert "refused the key" in attempt["error_message"]
    assert await bench._rows("job_result", "job_id", job_id) == []
