"""A kernel class of the shape of Colab's: a shell of its own, and other replies than ipykernel's.

What front ends ask a kernel beside running code goes through these overrides: `do_inspect` answers
in JSON, and `complete_request` is no coroutine.
"""

from __future__ import annotations

from typing import Any, Dict

from ipykernel.ipkernel import IPythonKernel
from ipykernel.jsonutil import json_clean
from IPython.utils import tokenutil

from . import _shell


class Kernel(IPythonKernel):
    """The kernel that Colab's configuration names for every Python on the machine."""

    def _shell_class_default(self) -> type:
        return _shell.Shell

    def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, *args: Any, **options: Any
    ) -> Dict[str, Any]:
        info = self.shell.object_inspect(tokenutil.token_at_cursor(code, cursor_pos))
        data = {"application/json": {**info, "argspec": None}} if info["found"] else {}
        return {"status": "ok", "data": data, "metadata": {}, "found": info["found"]}

    def complete_request(self, stream: Any, ident: Any, parent: Any) -> None:
        content = parent["content"]
        matches = self.do_complete(content["code"], content["cursor_pos"])
        self.session.send(stream, "complete_reply", json_clean(matches), parent, ident)
