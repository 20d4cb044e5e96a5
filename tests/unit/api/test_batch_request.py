"""What no database keeps as JSON is refused at the door."""

from typing import Any

import pytest
from pydantic import ValidationError

from api.batches.request import BatchSubmit


@pytest.mark.parametrize(
    "asked",
    [
        {"instructions": "Read\x00."},
        {"schema": {"properties": {"\x00": {"type": "string"}}}},
        {"schema": {"title": "\\\x00"}},
    ],
)
def test_a_task_has_no_nul(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="NUL"):
        BatchSubmit.model_validate({"files": ["file-1"], "model": "sandbox/echo", **asked})


def test_a_backslash_before_a_number_is_none() -> None:
    schema = {"title": "\\u0000", "pattern": "\\\\u0000"}
    assert BatchSubmit.model_validate({"files": ["file-1"], "schema": schema}).json_schema == schema
