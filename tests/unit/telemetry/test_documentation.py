"""docs/observability.md names every metric that there is, and none that there is not."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOURCES = (
    "shared/telemetry/metrics.py",
    "shared/telemetry/stream_metrics.py",
    "shared/telemetry/webhook_metrics.py",
    "api/gauges.py",
)


def in_code() -> set[str]:
    text = "".join((ROOT / source).read_text("utf-8") for source in SOURCES)
    counters = set(re.findall(r'_counter\(\s*"(penstock_\w+)"', text))
    others = set(re.findall(r'"(penstock_\w+)"', text)) - counters
    return {f"{name}_total" for name in counters} | others


def test_the_tables_are_complete() -> None:
    page = (ROOT / "docs/observability.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `(penstock_\w+)`", page, re.MULTILINE))
    assert rows == in_code()
    assert len(rows) > 20


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    page = (ROOT / "docs/observability.md").read_text("utf-8")
    rules = page[page.index("```yaml") : page.index("## Logs")]
    assert set(re.findall(r"penstock_\w+", rules)) <= in_code()
