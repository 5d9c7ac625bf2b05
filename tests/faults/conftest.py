"""A real shell, as the shell tests have it."""

from __future__ import annotations

from shell.conftest import bare, run

__all__ = ["bare", "run"]
