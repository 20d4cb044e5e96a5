"""docs/openai.md names every code that a direct call can fail with."""

import re
from pathlib import Path

from api.direct.failures import StreamBroken
from shared.jobs import failures

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "openai.md").read_text("utf-8")


def test_every_code_stands_beside_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `\w+` \| (.*) \|$", TEXT, re.MULTILINE)
    written = {int(status): text for status, text in rows}
    told = [*failures._FAILED.values(), *failures._EXPIRED.values()]
    told += [failures._BUG, failures._LATE, failures._CANCELLED]

    assert len(told) > 10
    for each in told:
        assert f"`{each.code or 'bad_request'}`" in written[each.status], each
    assert "`stream_broken`" in written[StreamBroken.status]
    source = (ROOT / "api" / "direct" / "vigil.py").read_text("utf-8")
    for code in re.findall(r'code="(\w+)"', source):
        assert f"`{code}`" in written[503]
