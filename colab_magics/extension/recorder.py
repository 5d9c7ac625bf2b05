"""One kernel's memory: what the running cell did, and lines not yet in a notebook.

It holds no recipe: the setup cell is read from the notebook each time (see `record`).
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from ..core.errors import bad_input
from ..core.host import Context, Host
from ..core.redact import holds_secret
from ..core.steps import Step, parts_of
from ..notebook.comm import present
from ..notebook.locate import RunningCell, Site, locate, place
from ..notebook.writers.base import Writer
from ..record.cell import Line, is_expanded, is_setup, only_setup, parse, sound_text
from ..record.merge import Entry, Merged, merge
from ..record.record import add, edit, is_off
from .hooks import Hooks
from .notices import OFF, Notices
from .output import say
from .pending import Pending, edited
from .restart import after

#: Where a shell keeps its session: they know each other, and go together.
_KEPT = "_colab_magics_session"


def session_of(shell: Any) -> Session:
    """The session of a shell; it outlives reloading the extension."""
    if not hasattr(shell, _KEPT):
        setattr(shell, _KEPT, Session(shell))
    session: Session = getattr(shell, _KEPT)
    return session


class KernelContext(Context):
    """What this kernel's session and the hooks of its magics know."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def has_extension(self) -> bool:
        """See `Context`."""
        return self._session.site.kind == "jupyter" and present(self._session.host)

    def notebook(self) -> Optional[Path]:
        """See `Context`."""
        return place(self._session.host, self._session.site).path

    def clones(self) -> Iterable[Path]:
        """See `Context`."""
        return chain.from_iterable(hook.clones() for hook in self._session.hooks)

    def lock_for(self, step: Step) -> Any:
        """See `Context`."""
        return next(filter(None, (hook.lock_for(step) for hook in self._session.hooks)), None)


class Session:
    """See the module."""

    def __init__(self, shell: Any) -> None:
        self.host = Host(shell, context=KernelContext(self))
        self.source = ""
        self.writing = False
        #: What the running cell has done.
        self.cell: List[Entry] = []
        self._outer: List[Tuple[str, List[Entry], bool]] = []
        self.held = Pending(self.host)
        #: Client session → the setup cell as it was last run or written.
        self.seen: Dict[str, str] = {}
        #: Client session → where its notebook is saved, while it cannot be kept in the notebook.
        self.targets: Dict[str, str] = {}
        #: Where this kernel's user has said that a notebook is to be saved.
        self.confirmed: Set[str] = set()
        self.notices = Notices(self.host)
        self.hooks = Hooks(self)

    # ------------------------------------------------------------------ what magics ask
    @property
    def pending(self) -> List[Entry]:
        """Lines of this notebook that are not in it yet."""
        return self.held.entries

    def forget_cell(self) -> None:
        """The setup cell that was run is gone, or is to be."""
        self.seen.pop(self.host.client, None)

    def remember(self, step: Step) -> None:
        """Keep a step that succeeded, to be recorded when the cell ends."""
        try:
            text = sound_text(step)
        except bad_input() as error:
            say(f"Setup cell: not remembered. {error}")
            return
        if is_expanded(text):
            say("Setup cell: not remembered: IPython would expand $ and braces in that line")
            return
        if holds_secret(text):
            say("Setup cell: not remembered: a secret stands in that line; take it out of the cell")
            return
        self.cell.append((step, step.note(self.host)))

    def take(self) -> List[Entry]:
        """All that is to be recorded, handed over: the caller records it now."""
        entries = [*self.pending, *self.cell]
        self.pending.clear()
        self.cell = []
        return entries

    @property
    def site(self) -> Site:
        """What kind of place the running cell comes from."""
        return locate(self.host)

    def writer(self) -> Optional[Writer]:
        """The writer that applies to the running cell, or None."""
        return self.writers()[0]

    def writers(self) -> Tuple[Optional[Writer], Tuple[Tuple[str, str], ...]]:
        """The writer that applies (or None), and (name, reason) of those that do not."""
        from ..notebook.writers import writer_for

        cell = RunningCell(self.source, self.writing, is_setup)
        return writer_for(self.host, self.site, cell)

    def lines(self) -> Tuple[Optional[List[Line]], str]:
        """The setup cell's lines as far as the kernel can know them, and where they were read."""
        writer = self.writer()
        text = writer.read() if writer is not None else self._in_colab()
        if text is not None:
            return parse(text), "in the notebook"
        text = self.seen.get(self.host.client)
        return (None, "") if text is None else (parse(text), "as it was last run")

    @property
    def done(self) -> int:
        """How many steps the running cell has done so far."""
        return len(self.cell)

    def standing(self, word: str) -> List[Any]:
        """Each part of this kind that is recorded, or to be, those of the running cell last."""
        steps = [line.step for line in self.lines()[0] or ()]
        steps += [step for step, _ in (*self.pending, *self.cell)]
        return parts_of(word, steps)

    @property
    def running(self) -> str:
        """The text of the running cell, also where it is what loads the extension."""
        return self.source or str(self.host.request.get("content", {}).get("code", ""))

    @property
    def runs_setup(self) -> bool:
        """Whether the running cell is the setup cell."""
        return is_setup(self.running)

    def since(self, word: str, done: int) -> List[Step]:
        """Those of the running cell, less its first ``done`` steps."""
        return parts_of(word, [step for step, _ in self.cell[done:]])

    @property
    def depth(self) -> int:
        """In how many cells the running one is, itself counted: a cell may run another one."""
        return len(self._outer)

    def close(self) -> None:
        """The extension is unloaded."""
        for hook in self.hooks:
            hook.close()

    def edit(self, change: Callable[[Sequence[Line]], Merged]) -> List[str]:
        """Change what this cell did, what is pending, and the setup cell if it can be written."""
        self.cell, changes = edited(self.cell, change)
        changes += self.held.edit(change)
        writer = self.writer()
        if writer is not None:
            for hook in self.hooks:
                hook.setup_edited()
            changes += edit(writer, lambda lines: change(lines or [])).changes
        return list(dict.fromkeys(changes))

    def _in_colab(self) -> Optional[str]:
        """The setup cell in Colab's browser, where no writer is at hand that could read it."""
        from ..notebook import colab_message

        cells = colab_message.texts() if self.site.kind == "colab" else None
        return next(filter(is_setup, cells or ()), None)

    # ------------------------------------------------------------------ events of the shell
    def begin(self, info: Any) -> None:
        """``pre_run_cell``; it does not fire for the cell that first loads the extension."""
        self._outer.append((self.source, self.cell, self.writing))
        self.source = getattr(info, "raw_cell", None) or ""
        self.cell, self.writing = [], False
        for hook in self.hooks:
            hook.cell_begins(self.source)

    def end(self, result: Any) -> None:
        """``post_run_cell``: record what the cell did; errors are shown, IPython drops them."""
        self.source = getattr(result.info, "raw_cell", None) or ""
        earlier = self.notices.unfinished()
        try:
            self._record(result)
            earlier()
            for hook in self.hooks:
                hook.cell_recorded(result)
        except bad_input() as error:
            say(f"Setup cell: not written. {error}", *filter(None, [getattr(error, "details", "")]))
        else:
            if not self._outer[:-1]:  # a cell within another leaves it to that one
                after(self.host, self.site, result.error_in_exec)
        finally:  # a cell may be run from within another
            outer = self._outer.pop() if self._outer else ("", [], False)
            self.source, self.cell, self.writing = outer

    def _record(self, result: Any) -> None:
        """Record what the cell did; what an interrupt leaves unrecorded is pending."""
        try:
            for hook in self.hooks:
                hook.cell_ends(result)
            finish(self, failed=not result.success)
        except BaseException:
            self.held.hold(self.cell)
            raise


# ---------------------------------------------------------------------- recording
# What becomes of what a cell did when it ends: in the notebook's setup cell, or held.
def finish(session: Session, failed: bool) -> None:
    """A cell has ended: put what it did into the notebook, or hold it."""
    if is_setup(session.source):
        session.cell = []  # a setup cell is never changed by what it did itself
        _see(session, parse(session.source), failed)
        if failed or not session.pending:
            return
    elif not session.cell and not session.writing:
        return
    writer = session.writer()
    if writer is None:
        _keep(session)
        return
    if writer.in_place and failed:  # front ends replace only a cell that succeeded
        session.held.hold(session.cell)
        return
    if session.writing:
        reason = _against_writing(session, writer.in_place)
        if reason:
            session.held.hold(session.cell)
            say(f"Setup cell: not written: {reason}")
            return
    entries = session.take()
    try:
        record = add(writer, entries)
    except BaseException:
        session.held.hold(entries)
        raise
    if writer.in_place or record.state == "shown":  # in the notebook it is seen when it runs
        session.held.hold(entries)
    elif record.text is not None:
        session.seen[session.host.client] = record.text
    session.notices.recorded(record, writer)


def _see(session: Session, lines: List[Line], failed: bool) -> None:
    """A setup cell has run: what it holds is pending no more.

    What was typed before the cell was ever run gives way to it: the cell has just been
    applied, so that its version is the one that is there.
    """
    first = session.host.client not in session.seen
    session.seen[session.host.client] = session.source
    if failed:
        return
    session.held.give_way(lines, first)


def _against_writing(session: Session, in_place: bool) -> str:
    """Why there is nothing to write, or not in the running cell; empty where it may."""
    if in_place and not only_setup(session.source):
        return "this cell holds lines of yours. Use an empty cell"
    if in_place and session.host.client in session.seen and not is_setup(session.source):
        return "this notebook has a setup cell. Run that one, it takes in what is new"
    if session.cell or session.pending:
        return ""
    if session.held.elsewhere:
        return "what was typed belongs to another notebook or page. Take it: %setup write --all"
    return "nothing is remembered yet. For instance: %pin numpy==2.1.3"


def _keep(session: Session) -> None:
    """No writer applies: the lines are pending, or dropped where nothing may be written."""
    site = session.site
    if site.kind == "executor":
        session.notices.once("Setup cell: nothing is written while an executor runs the notebook")
        return
    seen = parse(session.seen.get(session.host.client, ""))
    if is_off([*seen, *(Line("", step) for step, _ in session.pending)]):
        session.notices.once(OFF)
        return
    new = [
        entry
        for entry in session.cell
        if (merge(seen, [entry])[1] if any(line.step for line in seen) else entry[0].parts())
    ]
    if not new:
        return
    session.held.hold(new)
    where = "in an empty first cell" if site.front_end else "and the path of a notebook"
    why = (
        "It is put there at once where the Jupyter server's environment has colab-magics "
        "too: %setup where"
    )
    session.notices.once(
        f"Setup cell: remembered, not in the notebook yet: type %setup write {where}",
        *([why] if site.kind == "jupyter" else []),
    )
