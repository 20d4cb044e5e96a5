"""The page for operators names every setting, and none that is not there."""

import re
from pathlib import Path

from shared.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "operating.md"
NOT_AN_OPERATORS = {"provider_keys"}


def test_the_page_names_the_settings() -> None:
    rows = re.findall(
        r"^\| (`[A-Z0-9_]+`(?:, `[A-Z0-9_]+`)*) \|", PAGE.read_text("utf-8"), re.MULTILINE
    )
    named = {name.lower() for row in rows for name in re.findall(r"[A-Z0-9_]+", row)}

    assert named == set(Settings.model_fields) - NOT_AN_OPERATORS
