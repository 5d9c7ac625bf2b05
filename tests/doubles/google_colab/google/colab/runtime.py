"""A stub of ``google.colab.runtime``: it writes down that the machine was given back."""

from __future__ import annotations

from typing import List

CALLS: List[str] = []


def unassign() -> None:
    """Give the machine back."""
    CALLS.append("unassign")
