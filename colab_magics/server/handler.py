"""The address by which a kernel reads and edits the notebook of its own session.

Jupyter's own authentication and authorisation apply. Which notebook it is never comes from the
request: it is that of the kernel's session whose cell this server runs.
"""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Tuple

import tornado.web as web
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import ensure_async, url_path_join

from ..notebook.server_side import ADDRESS
from ..notebook.servers import plain_path
from .document import put, read, write_metadata
from .executors import Executor, executor_of
from .restart import restart

#: Seconds that a notebook may take to load; less than a kernel waits.
OPENING = 1.5
_KERNEL = r"(?P<kernel>[0-9a-f]{8}-[0-9a-f-]{27})"


def add_handler(app: Any) -> None:
    """Add the address to a server."""
    path = url_path_join(app.base_url, ADDRESS.format(kernel=_KERNEL))
    app.web_app.add_handlers(".*$", [(path, NotebookHandler, {"app": app})])


class NotebookHandler(APIHandler):  # type: ignore[misc]
    """Carries out a request about the notebook of a kernel."""

    auth_resource = "contents"

    def initialize(self, app: Any) -> None:
        """Take the server."""
        self.app = app

    @web.authenticated  # type: ignore[untyped-decorator]
    @authorized  # type: ignore[untyped-decorator]
    async def post(self, kernel: str) -> None:
        """Reply as the front-end extension does."""
        data = self.get_json_body()
        reply: Dict[str, Any] = {"status": "refused"}
        if isinstance(data, dict):
            reply = await self._handle(kernel, data)
        self.finish(reply)

    async def _handle(self, kernel: str, data: Dict[str, Any]) -> Dict[str, Any]:
        executor = executor_of(self.app)
        if executor is None or not executor.may_run(kernel):
            return {"status": "not-running"}
        notebooks = await self._notebooks(executor, kernel)
        if len(notebooks) != 1:
            return {"status": "several-notebooks" if notebooks else executor.absence}
        path, document = notebooks[0]
        if data.get("action") == "restart":
            user = self.current_user
            allowed = self.authorizer.is_authorized(self, user, "execute", "kernels")
            if not await ensure_async(allowed):
                raise web.HTTPError(403)
            return restart(executor, kernel, path, document, data)
        if data.get("action") in {"put", "keep"} and not await self._is_writable(path):
            return {"status": "read-only", "path": path}
        return {**await _act(executor, path, document, data), "path": path}

    async def _is_writable(self, path: str) -> bool:
        model = await ensure_async(self.contents_manager.get(path, content=False))
        return bool(model.get("writable", True))

    async def _notebooks(self, executor: Executor, kernel: str) -> List[Tuple[str, Any]]:
        """Return the notebooks of a kernel whose cell runs."""
        sessions = await ensure_async(self.session_manager.list_sessions())
        paths = [
            plain_path(str(session["path"]))
            for session in sessions
            if session["type"] == "notebook" and session["kernel"]["id"] == kernel
        ]
        pairs = [(path, await _open(executor, path)) for path in dict.fromkeys(paths)]
        return [pair for pair in pairs if pair[1] is not None and executor.runs(kernel, pair[1])]


async def _open(executor: Executor, path: str) -> Any:
    """Return a notebook; None for one that does not load, which might be waited for for ever."""
    task = asyncio.ensure_future(executor.document(path))
    done, _ = await asyncio.wait([task], timeout=OPENING)
    return task.result() if done else None


async def _act(
    executor: Executor, path: str, document: Any, data: Dict[str, Any]
) -> Dict[str, Any]:
    action = data.get("action")
    if action == "hello":
        return {"status": "ok"}
    if action == "read":
        return read(document)
    if action == "whole":
        return {"status": "ok", "notebook": document.get()}
    if action == "put":
        reply = put(document, data.get("text"), data.get("expected"))
    elif action == "keep":
        reply = write_metadata(document, data.get("what"), data.get("value"))
    else:
        return {"status": "refused"}
    if reply["status"] == "ok":
        reply["saved"] = await executor.save(path)
    return reply
