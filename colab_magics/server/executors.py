"""The packages that run cells on the server, each by its own public parts.

``jupyter-server-nbmodel`` has a queue of requests for each kernel, and writes into the documents
of jupyter-collaboration. ``jupyter-server-documents`` has rooms, each with a notebook, its kernel
and its queue.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, List, Optional

#: Seconds between two questions whether a cell has ended.
PAUSE = 0.1


class Executor(ABC):
    """What runs cells on this server."""

    def __init__(self, app: Any, part: Any) -> None:
        self.app, self.part = app, part

    #: The status where it runs nothing of a document.
    absence = "not-running"

    @abstractmethod
    def may_run(self, kernel: str) -> bool:
        """Tell whether it runs code in a kernel, as far as that is known without a document."""

    @abstractmethod
    def runs(self, kernel: str, document: Any) -> bool:
        """Tell whether what it runs in a kernel is of a document."""

    @abstractmethod
    async def document(self, path: str) -> Any:
        """Return the notebook that all clients edit, or None where there is none."""

    @abstractmethod
    def queue(self, kernel: str, document: Any) -> List[str]:
        """Return the ids of the document's cells that run or wait, the running one first."""

    async def save(self, path: str) -> bool:
        """Have a document saved; return whether that is under way."""
        return True

    @abstractmethod
    async def restart(self, kernel: str, path: str) -> None:
        """Restart a kernel, and wait until cells can be run in it."""

    @abstractmethod
    async def run(self, kernel: str, path: str, cell: Any) -> bool:
        """Run a cell of a document to its end; return whether it succeeded."""

    def _room(self, path: str) -> str:
        return f"json:notebook:{self.app.web_app.settings['file_id_manager'].index(path)}"


class NbModel(Executor):
    """Jupyter-server-nbmodel, with jupyter-collaboration."""

    name = "jupyter_server_nbmodel"
    absence = "no-notebook"

    @property
    def _stack(self) -> Any:
        options = [entry[2] for entry in self.part.handlers if len(entry) > 2]
        return next(o["execution_stack"] for o in options if "execution_stack" in o)

    def may_run(self, kernel: str) -> bool:
        """See `Executor`."""
        return bool(self._stack.pending(kernel))

    def runs(self, kernel: str, document: Any) -> bool:
        """See `Executor`; code of no cell may be of each document of the kernel."""
        cell = next((request["cell_id"] for request in self._stack.pending(kernel)), "")
        return cell is None or any(other["id"] == cell for other in document.ycells)

    async def document(self, path: str) -> Any:
        """See `Executor`; where nobody has it open it is opened for us, as for a client."""
        store = extension(self.app, "jupyter_server_ydoc")
        if store is None or store.disable_rtc:
            return None
        form = {"content_type": "notebook", "file_format": "json"}
        return await store.get_document(path=path, **form, copy=False, create=True)

    def queue(self, kernel: str, document: Any) -> List[str]:
        """See `Executor`."""
        return [str(request["cell_id"]) for request in self._stack.pending(kernel)]

    async def save(self, path: str) -> bool:
        """See `Executor`: at once, as Ctrl-S does; otherwise after the time that is configured."""
        store = extension(self.app, "jupyter_server_ydoc")
        room = await store.ywebsocket_server.get_room(self._room(path))
        save = getattr(room, "_save_to_disc", lambda: None)()
        if save is not None:
            await asyncio.wait([save], timeout=4)
        return save is not None or store.document_save_delay is not None

    async def restart(self, kernel: str, path: str) -> None:
        """See `Executor`: its client of the old process would wait for it without end."""
        with suppress(asyncio.CancelledError, asyncio.TimeoutError):
            await self._stack.cancel(kernel, timeout=1)
        await _restart(self.app.kernel_manager, kernel)

    async def run(self, kernel: str, path: str, cell: Any) -> bool:
        """See `Executor`."""
        metadata = {"cell_id": cell["id"], "document_path": path, "document_id": self._room(path)}
        request = self._stack.put(kernel, str(cell["source"]), metadata)
        while kernel in self.app.kernel_manager:
            result = self._stack.get(kernel, request)
            if not result["pending"]:
                return bool(result.get("status") == "ok")
            await asyncio.sleep(PAUSE)
        return False


class Documents(Executor):
    """Jupyter-server-documents."""

    name = "jupyter_server_documents"

    def may_run(self, kernel: str) -> bool:
        """See `Executor`; its documents tell."""
        return True

    def runs(self, kernel: str, document: Any) -> bool:
        """See `Executor`."""
        return bool(self.queue(kernel, document))

    def _get_room(self, path: str) -> Any:
        return self.part.yroom_manager.get_room(self._room(path))

    async def document(self, path: str) -> Any:
        """See `Executor`."""
        room = self._get_room(path)
        return None if room is None else await room.get_jupyter_ydoc()

    def queue(self, kernel: str, document: Any) -> List[str]:
        """See `Executor`; cells that wait are in the state of the running one."""
        cells = document.ycells
        return [str(cell["id"]) for cell in cells if cell.get("execution_state") == "running"]

    async def restart(self, kernel: str, path: str) -> None:
        """See `Executor`.

        Connecting the room anew would lose the order that its pages keep in their requests: their
        next ones would be refused. Its client finds the new process at the old ports.
        """
        await _restart(self.app.kernel_manager, kernel)
        until_ready = getattr(self._get_room(path), "_fetch_kernel_info", None)
        if until_ready is not None:
            await until_ready()

    async def run(self, kernel: str, path: str, cell: Any) -> bool:
        """See `Executor`."""
        from jupyter_server_documents.rooms.ynotebook_room import _source_hash

        request = {"cell_id": cell["id"], "source_hash": _source_hash(str(cell["source"]))}
        await self._get_room(path).execute_cells([request], clear_outputs=True)
        while cell.get("execution_state") == "running":
            await asyncio.sleep(PAUSE)
        return all(output["output_type"] != "error" for output in cell["outputs"])


def executor_of(app: Any) -> Optional[Executor]:
    """Return what runs cells on this server, or None."""
    for kind in (NbModel, Documents):
        part = extension(app, kind.name)
        if part is not None:
            return kind(app, part)
    return None


def extension(app: Any, name: str) -> Any:
    """Return an extension of the server, where it is enabled."""
    package = app.extension_manager.extensions.get(name)
    if package is None or not package.enabled:
        return None
    return next((p.app for p in package.extension_points.values() if p.app is not None), None)


async def _restart(manager: Any, kernel: str) -> None:
    ready = await manager.restart_kernel(kernel)
    if hasattr(ready, "__await__"):  # until the kernel answers
        await ready
