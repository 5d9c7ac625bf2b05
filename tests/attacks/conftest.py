"""A real shell and a web server of a stranger's, as the shell tests have them."""

from __future__ import annotations

from shell.conftest import bare, run, server

__all__ = ["bare", "run", "server"]
