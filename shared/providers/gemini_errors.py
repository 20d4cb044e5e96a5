"""What Google says of a failure beside its status; pure."""

import re
from collections.abc import Iterator

from pydantic import JsonValue

QUOTA_PER_DAY = "quota_per_day"
NO_ACCESS = re.compile(
    r"api key (?:not valid|expired)|user location is not supported|please enable billing",
    re.IGNORECASE,
)
"""A key, a country or an account without billing that it refuses with a bare 400."""


def detailed_codes(details: JsonValue) -> Iterator[str]:
    """Yield the reasons in an error's details, and that it is a day's quota which is used up."""
    for detail in _objects(details):
        reason = detail.get("reason")
        if isinstance(reason, str):
            yield reason
        if any("PerDay" in str(each.get("quotaId")) for each in _objects(detail.get("violations"))):
            yield QUOTA_PER_DAY


def _objects(value: JsonValue) -> Iterator[dict[str, JsonValue]]:
    for each in value if isinstance(value, list) else []:
        if isinstance(each, dict):
            yield each
