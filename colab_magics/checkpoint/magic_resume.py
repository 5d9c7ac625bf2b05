"""Going on where Run All stood: the offer below a setup cell, and the replay of finished cells."""

from __future__ import annotations

import json
from types import ModuleType
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Tuple

from ..core.errors import ColabMagicsError, input_errors
from ..core.steps import Outcome, Step
from ..extension.output import say
from ..extension.session import Hook, Session, get_session
from ..notebook.comm import ask, present
from ..notebook.reading import read_notebook
from ..notebook.writers.run import RESUME, RESUMED, exchange_read, exchange_write
from ..record.cell import is_setup
from .cells import KeptCell, Run, decode_run
from .hooks import Checkpoints
from .magic_cells import CellLog, cell_id, is_left_out

if TYPE_CHECKING:
    from .manifest import Cell
    from .replay import Replay
    from .restore import Restored
    from .resume import NotebookCell, Plan
    from .store import Store

#: What runs in the place of a cell while finished ones are shown.
_CALL = "__import__('colab_magics.checkpoint.magic_resume', fromlist=['*']).show_cell()\n"


class Base(NamedTuple):
    """The cells of a checkpoint, the one that it cut, and the variables that came back from it."""

    runs: Tuple[Run, ...]
    running: Optional[Run]
    names: Tuple[str, ...]


class Resume(Hook):
    """Offers to go on, once a setup cell has restored a checkpoint; shows finished cells."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._seen: Optional[Restored] = None
        self._base: Optional[Base] = None
        self._replay: Optional[Replay] = None

    # ------------------------------------------------------------------ the plan
    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """See what the line of a setup cell has restored."""
        if step.word == "checkpoint":
            self._see_restored()

    def _see_restored(self) -> None:
        """Take the cells of a checkpoint that was restored into a kernel which has run none.

        Else only the log is told that no cell has made these values.
        """
        hooks = self.session.hooks
        checkpoints, log = hooks.of(Checkpoints), hooks.of(CellLog)
        restored = checkpoints.restored
        if restored is None or restored is self._seen:
            return
        self._seen = restored
        folder = checkpoints.folder
        if not log.is_fresh or folder is None:
            log.mark_unsure(restored.names)
            return
        from .store import Store

        store, manifest = Store(folder), restored.manifest
        cells = [_read_cell(cell, store) for cell in manifest.cells]
        running = _read_cell(manifest.running, store) if manifest.running else None
        runs = tuple(map(decode_run, cells))
        self._base = Base(runs, decode_run(running) if running else None, restored.names)
        lost = [*restored.present, *(lost.name for lost in restored.lost)]
        log.adopt([*cells, *([running] if running else [])], lost)

    def _make_plan(self) -> Tuple[Plan, List[NotebookCell], bool]:
        """Return the plan, its cells, and whether they are as the open notebook has them."""
        if self._base is None:
            raise ColabMagicsError(
                "No checkpoint with cells was restored in this kernel.",
                "Run the setup cell with its %checkpoint line first.",
                code="nothing-restored",
            )
        from .resume import NotebookCell, plan

        session = self.session
        notebook = read_notebook(session.host, session.site)
        if notebook is None:
            raise ColabMagicsError(
                "The notebook cannot be read here, so that it is not known which cells are done.",
                "Run it from the top.",
                code="unknown-notebook",
            )
        document, cells = notebook.document, []
        for number, head in enumerate(document.heads, 1):
            source = document.source(head)
            if head.get("cell_type") == "code" and not is_left_out(source):
                identity = head.get("id") or head.get("metadata", {}).get("id")  # Colab's
                cells.append(NotebookCell(str(identity or ""), source, number))
        variables = session.host.shell.user_ns
        modules = [name for name, value in variables.items() if isinstance(value, ModuleType)]
        names = {*self._base.names, *modules}
        since = session.hooks.of(CellLog).since
        made = plan(cells, self._base.runs, self._base.running, names, since)
        return made, cells, notebook.live

    # ------------------------------------------------------------------ the offer
    def cell_recorded(self, result: Any) -> None:
        """Offer it below a setup cell that has ended well."""
        session = self.session
        self._see_restored()
        self._install()
        if self._base is None or session.depth > 1 or not result.success:
            return
        if is_setup(session.source) and session.site.kind != "executor":
            try:
                self._offer()
            except input_errors() as error:
                say(str(error))

    def _offer(self) -> None:
        session, shared = self.session, self.session.site.shared
        if shared is not None:
            if exchange_read(shared, RESUME) is not None:
                self.begin()
            return
        from .resume import describe

        made, cells, is_live = self._make_plan()
        state, action = describe(made, cells)
        if not made.done or not made.run:
            say(f"{state}.")
            return
        say(f"{state}. {action}: %checkpoint resume, then Run All")
        # Only `begin` takes stale names away.
        can_ask = is_live and not made.stale and session.site.kind == "jupyter"
        if can_ask and present(session.host):
            ids = [cells[at].id for at in made.run]
            ask(session.host, "continue", cells=ids, text=f"{state}.", label=action, now=False)

    # ------------------------------------------------------------------ the replay
    def begin(self) -> None:
        """Show finished cells from now on instead of running them, until Run All is past them."""
        from .replay import Replay
        from .resume import describe

        self.end()
        made, cells, _ = self._make_plan()
        for name in made.stale:
            self.session.host.shell.user_ns.pop(name, None)
        shared = self.session.site.shared
        if shared is not None:
            exchange_write(shared, json.dumps([cells[at].number for at in made.done]), RESUMED)
        state, action = describe(made, cells)
        if made.done:
            self._replay = Replay(cells, made)
            self._install()
            rest = ", and runs the others" if made.run else ""
            state += f". {action}: Run All shows those that are done{rest}"
        say(f"{state}.")

    def end(self) -> None:
        """Run each cell from now on."""
        self._replay = None
        self.close()

    def close(self) -> None:
        """The extension is unloaded, or loaded again, as by the setup cell of a Run All."""
        transformers = self.session.host.shell.input_transformers_cleanup
        if self._transform in transformers:
            transformers.remove(self._transform)

    def _install(self) -> None:
        """See each cell before it runs, while there is a replay."""
        transformers = self.session.host.shell.input_transformers_cleanup
        if self._replay is not None and self._transform not in transformers:
            transformers.insert(0, self._transform)

    def cell_begins(self, source: str) -> None:
        """End the replay with the first cell that runs past those that are done."""
        if self._replay is None or self.session.depth > 1 or is_left_out(source):
            return
        identity = cell_id(self.session.host.request)
        if self._replay.decide(identity, source) == "run":
            is_past = self._replay.is_past(identity, source)
            self._replay.take(identity, source)
            if is_past:
                self.end()

    def _transform(self, lines: List[str]) -> List[str]:
        """Return a call in the place of a cell that does not run; nothing is changed by it."""
        request = self.session.host.request
        content, source = request.get("content", {}), "".join(lines)
        is_cell = source.strip() == str(content.get("code", "")).strip()
        if self._replay is None or not is_cell or content.get("silent") or is_left_out(source):
            return lines
        runs = self._replay.decide(cell_id(request), source) == "run"
        return lines if runs else [_CALL]

    # IPython would ask it too whether a half-typed cell is complete.
    _transform.has_side_effects = True  # type: ignore[attr-defined]

    def show_cell(self) -> None:
        """Show what the running cell had shown in an earlier kernel, or refuse it."""
        from .replay import decode_outputs, publish

        host = self.session.host
        source, identity, replay = self.session.running, cell_id(host.request), self._replay
        is_shown = replay is not None and replay.decide(identity, source) == "show"
        run = replay.take(identity, source) if replay is not None and is_shown else None
        if run is None:
            self.end()
            raise ColabMagicsError(
                "This cell is not as it was when %checkpoint resume was run, or one above it has "
                "to run first.",
                "%checkpoint resume again, then Run All; or run it again, as it is.",
                code="other-cell",
            )
        self.session.hooks.of(CellLog).mark_replayed()
        if replay is not None and replay.is_over:
            self.end()
        publish(decode_outputs(run), host.shell.kernel)


def _read_cell(cell: Cell, store: Store) -> KeptCell:
    """Return a cell of a checkpoint, with its record."""
    record = store.read_all(cell.outputs or ()).decode("utf-8", "surrogatepass")
    return KeptCell(cell.id, cell.hash, record)


def show_cell() -> None:
    """Do what stands in the place of a cell: see `Resume.show_cell`."""
    from IPython import get_ipython

    get_session(get_ipython()).hooks.of(Resume).show_cell()
