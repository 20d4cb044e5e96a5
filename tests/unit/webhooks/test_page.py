"""docs/webhooks.md: its receiver takes what we sign and nothing else, its numbers are the settings'."""

import re
from collections.abc import Iterator
from http.server import HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from openai import OpenAI

from shared.clock import now_ms
from shared.settings import Settings
from shared.webhooks.secrets import new_secret
from shared.webhooks.signing import signed_headers

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "webhooks.md").read_text("utf-8")
SECRET, OTHER = new_secret(), new_secret()
BODY = '{"id":"evt_1","object":"event","type":"job.completed","data":{"id":"job_ä"}}'.encode()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run the page's receiver on a free port; return its URL."""
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.partition("\n\nHTTPServer(")[0], names)
    names["Hook"].log_message = lambda *_: None
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    with HTTPServer(("127.0.0.1", 0), names["Hook"]) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()


def post(url: str, *secrets: str, body: bytes = BODY, late_ms: int = 0) -> int:
    headers = signed_headers("evt_1", BODY, secrets, at_ms=now_ms() - late_ms)
    return httpx.post(url, content=body, headers=headers, trust_env=False).status_code


def test_the_receiver_takes_what_is_signed(
    receiver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert post(receiver, SECRET) == 204
    assert post(receiver, OTHER, SECRET) == 204
    assert capsys.readouterr().out == "evt_1 job.completed job_ä\n" * 2


def test_the_receiver_refuses_all_else(receiver: str) -> None:
    assert post(receiver, OTHER) == 401
    assert post(receiver, SECRET, body=BODY + b" ") == 401
    assert post(receiver, SECRET, late_ms=301_000) == 401
    assert httpx.post(receiver, content=BODY, trust_env=False).status_code == 401


def test_the_line_with_openais_sdk_does_the_same() -> None:
    assert 'OpenAI(api_key="-").webhooks.unwrap(body, dict(self.headers), secret=' in TEXT
    headers = signed_headers("evt_1", BODY, [OTHER, SECRET], at_ms=now_ms())
    event: Any = OpenAI(api_key="-").webhooks.unwrap(BODY, headers, secret=SECRET)
    assert (event.id, event.type, event.data.id) == ("evt_1", "job.completed", "job_ä")


def test_the_numbers_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SCHEDULE_S", "TIMEOUT_S", "AT_ONCE", "DISABLE_AFTER_S"):
        monkeypatch.delenv(f"PENSTOCK_WEBHOOK_{name}", raising=False)
    settings = Settings()
    seconds, five, thirty, *hours = settings.webhook_schedule_s
    first = f"{seconds:g} seconds, {five / 60:g} minutes, {thirty / 60:g} minutes"
    text = " ".join(TEXT.split())
    *some, last = [f"{each / 3600:g}" for each in hours]
    assert f"{first}, {', '.join(some)} and {last} hours" in text
    assert f"within {settings.webhook_timeout_s:g} seconds" in text
    assert (settings.webhook_at_once, settings.webhook_disable_after_s) == (5, 5 * 86_400)
    assert "at most five events at a time" in text
    assert "for five days" in text


def test_every_link_leads_to_a_heading() -> None:
    headings = {
        name: {
            re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-")
            for each in re.findall(r"^#+ (.*)$", (ROOT / "docs" / name).read_text(), re.MULTILINE)
        }
        for name in ("api.md", "responses.md", "webhooks.md")
    }
    links = re.findall(r"\]\((?:(\w+\.md))?#([^)]*)\)", TEXT)
    assert len(links) >= 3
    assert [each for each in links if each[1] not in headings[each[0] or "webhooks.md"]] == []
