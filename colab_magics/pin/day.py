"""The day of ``--as-of`` as installers take it."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Dict, Mapping

#: pip's setting for the moment before which a file must have been uploaded.
SETTING = "uploaded-prior-to"


def cutoff(day: str) -> str:
    """Return the end of a day (UTC), in the form that uv and pip understand alike."""
    after = date.fromisoformat(day) + timedelta(days=1)
    return f"{after.isoformat()}T00:00:00Z"


def day_before(moment: str) -> str:
    """Return the day of a moment from `cutoff`; empty for another text."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)T00:00:00Z", moment.strip(), re.ASCII)
    if match is None:
        return ""
    return (date.fromisoformat(match[1]) - timedelta(days=1)).isoformat()


def without_day(line: Mapping[str, str]) -> Dict[str, str]:
    """Return the settings of a line without its day."""
    return {name: value for name, value in line.items() if name != SETTING}
