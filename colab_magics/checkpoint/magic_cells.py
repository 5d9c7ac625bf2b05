"""The log of the cells that have run in this kernel: what a checkpoint keeps of Run All."""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from ..extension.session import Hook, Session
from ..record.cell import is_setup
from .cells import Effects, KeptCell, Outputs, Run, State, Tee, decode_run, encode_run


@dataclass
class _Logged:
    """A cell that runs or has run in this kernel, and the request that it answers."""

    id: str
    source: str
    request: str = ""
    state: State = "failed"
    outputs: Outputs = field(default_factory=Outputs)
    #: Where the source does not tell them.
    effects: Optional[Effects] = None

    def encode(self) -> KeptCell:
        """Return it for a snapshot."""
        from .manifest import hash_source
        from .names import find_effects

        outputs = self.outputs.encode() if self.state == "finished" else None
        effects = self.effects or find_effects(self.source)
        return encode_run(Run(self.id, hash_source(self.source), self.state, effects, outputs))


class CellLog(Hook):
    """The cells that have run since the kernel began, but for setup cells and cells in cells.

    A message belongs to the cell whose request it answers, so that what a thread prints later, and
    a display that a later cell updates, are kept where they are shown.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        #: What an earlier kernel has run, whose variables this one has.
        self._adopted: List[KeptCell] = []
        self._cells = [_Logged("", x, state="unseen") for x in _earlier_sources(session.host.shell)]
        self._by_request: Dict[str, _Logged] = {}
        self._running: Optional[_Logged] = None
        self._is_replay = False
        self._tee: Optional[Tee] = None
        self._begin(session.running)

    def cell_begins(self, source: str) -> None:
        """Begin to keep what the cell shows."""
        if self.session.depth < 2:
            self._begin(source)

    def _begin(self, source: str) -> None:
        self._running, self._is_replay = None, False
        kernel = getattr(self.session.host.shell, "kernel", None)
        sender = getattr(kernel, "session", None)
        if sender is None or is_left_out(source):
            return
        request = self.session.host.request
        message = str(request.get("header", {}).get("msg_id", ""))
        self._running = self._by_request[message] = _Logged(cell_id(request), source, message)
        if self._tee is None:
            self._tee = Tee(sender, self._observe)

    def cell_ends(self, result: Any) -> None:
        """Keep the cell, unless it only showed what an earlier kernel kept of it."""
        if self.session.depth < 2 and self._running is not None:
            self._running.state = "finished" if result.success else "failed"
            if not self._is_replay:
                self._cells.append(self._running)
            self._running = None

    def snapshot(self) -> Tuple[List[KeptCell], Optional[KeptCell]]:
        """Return the cells that have run, in the order in which they ended, and the one that runs.

        One that has failed, or that ran before this package was loaded, is among them, since it may
        have changed variables: `cells.decode_run` tells.
        """
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # whatever a cell has put in its place
                stream.flush()
        running = self._running.encode() if self._running else None
        return [*self._adopted, *(cell.encode() for cell in self._cells)], running

    @property
    def is_fresh(self) -> bool:
        """Whether no cell has run since this package was loaded."""
        return not self._adopted and all(cell.state == "unseen" for cell in self._cells)

    def mark_unsure(self, names: Iterable[str]) -> None:
        """Note that no cell has made the values of these names."""
        self._cells.append(_Logged("", "", effects=Effects(defines=frozenset(names))))

    @property
    def since(self) -> List[Run]:
        """The cells that have run in this kernel."""
        return [decode_run(cell.encode()) for cell in self._cells]

    def adopt(self, cells: Sequence[KeptCell], unsure: Iterable[str]) -> None:
        """Take over the cells of an earlier kernel, whose variables this one has now.

        The values of ``unsure`` are others than those that these cells have made.
        """
        self._adopted = list(cells)
        self.mark_unsure(unsure)

    def mark_replayed(self) -> None:
        """Note that the running cell only shows what an earlier kernel kept of it."""
        self._is_replay = True

    def _observe(self, kind: str, content: Dict[str, Any], request: str) -> None:
        if kind == "update_display_data":
            for cell in list(self._by_request.values()):
                cell.outputs.update(content)
        elif request in self._by_request:
            self._by_request[request].outputs.add(kind, content)

    def close(self) -> None:
        """Let the kernel send messages as before."""
        if self._tee is not None:
            self._tee.close()
            self._tee = None


def cell_id(request: Dict[str, Any]) -> str:
    """Return the id that a notebook file has for the cell; VS Code's is another in each window."""
    metadata = request.get("metadata", {})
    colab = metadata.get("colab")
    known = colab.get("cell_id") if isinstance(colab, dict) else metadata.get("cellId")
    return "" if str(known or "").startswith("vscode-") else str(known or "")


def _earlier_sources(shell: Any) -> List[str]:
    """Return the sources of the cells that ran before the running one."""
    manager = getattr(shell, "history_manager", None)
    sources = list(manager.input_hist_raw)[1:-1] if manager is not None else []
    return [source for source in sources if not is_left_out(source)]


def is_left_out(source: str) -> bool:
    """Tell whether a cell is none of those that are followed: empty, of the setup, or of ours."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    return is_setup(source) or all(re.match(r"#|%checkpoint\b", line) for line in lines)
