"""One kernel's memory: what the running cell did, lines not yet in a notebook, and the hooks.

It holds no recipe: the setup cell is read from the notebook each time (see `record`).
"""

from __future__ import annotations

import re
from functools import partial
from itertools import chain
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
    TypeVar,
)

from ..core.errors import NotebookError, input_errors
from ..core.host import Context, Host
from ..core.redact import holds_secret
from ..core.registry import load
from ..core.steps import Outcome, Step, parts_of
from ..notebook import server_side
from ..notebook.comm import present
from ..notebook.document import Document
from ..notebook.locate import RunningCell, Site, locate, locate_notebook
from ..notebook.writers.base import Writer
from ..record.cell import Line, is_expanded, is_setup, parse, render_verified
from ..record.merge import Entry, Merged, merge
from ..record.record import edit
from .batch import Batch
from .hooks import HOOKS
from .notices import Notices
from .output import say
from .pending import Pending, edit_entries

#: Where a shell keeps its session: they know each other, and go together.
_ATTRIBUTE = "_colab_magics_session"
#: Where the lines of a setup cell are that was deleted.
GONE = "gone from the notebook"
#: What ``--env NAME=VALUE`` of google-colab-cli puts before each cell.
_VARIABLES = re.compile(r"\Aimport os\n(?:os\.environ\['\w+'\] = .*\n)+")


def get_session(shell: Any) -> Session:
    """Return the session of a shell; it outlives reloading the extension."""
    if not hasattr(shell, _ATTRIBUTE):
        setattr(shell, _ATTRIBUTE, Session(shell))
    session: Session = getattr(shell, _ATTRIBUTE)
    return session


class Session(Context):
    """The session of one kernel; it is also what the host's `Context` knows."""

    def __init__(self, shell: Any) -> None:
        self.host = Host(shell, context=self)
        #: The running cell: its text, whether it is to become the setup cell, what it has done.
        self.source, self.writing = "", False
        #: Whether the cell that is written gets the lines of the one that is gone.
        self.restoring = False
        self.cell_entries: List[Entry] = []
        #: The same of the cells that run the running one.
        self.outer: List[Tuple[str, List[Entry], bool]] = []
        self.pending = Pending(self.host)
        self.batch = Batch(shell)
        #: Client session → the setup cell as it was last run or written.
        self.setup_texts: Dict[str, str] = {}
        #: The client sessions that have run a cell, and the files of those with pending lines.
        self.clients: Set[str] = set()
        self.files: Dict[str, Optional[Path]] = {}
        #: Client session → where its notebook is saved, while it cannot be kept in the notebook.
        self.targets: Dict[str, str] = {}
        #: Where this kernel's user has said that a notebook is to be saved.
        self.confirmed: Set[str] = set()
        #: Where the setup cell has led this kernel, until a line of the user's leads elsewhere.
        self.restored: Optional[Path] = None
        self.notices = Notices(self.host)
        self.hooks = Hooks(self)

    def close(self) -> None:
        """Close the hooks: the extension is unloaded."""
        for hook in self.hooks:
            hook.close()

    # ------------------------------------------------------------------ what steps ask
    def has_extension(self) -> bool:
        """See `Context`."""
        return self.site.kind == "jupyter" and present(self.host)

    def runs_on_server(self) -> bool:
        """See `Context`."""
        return self.site.kind == "jupyter" and server_side.runs_on_server(self.host)

    def notebook(self) -> Optional[Path]:
        """See `Context`."""
        return locate_notebook(self.host, self.site).path

    def clones(self) -> Iterable[Path]:
        """See `Context`."""
        return chain.from_iterable(hook.clones() for hook in self.hooks)

    def cell_steps(self, word: str) -> Iterable[Step]:
        """See `Context`; without lines that IPython expands, `--dry-run` and `--keep-going`."""
        if not self.is_setup_running:
            return []
        lines = (line for line in parse(self.running) if not is_expanded(line.text))
        lines = (line for line in lines if not {"--dry-run", "--keep-going"} & {*line.flags})
        return [line.step for line in lines if line.step and line.step.word == word]

    def lock_for(self, step: Step) -> Any:
        """See `Context`."""
        return next(filter(None, (hook.lock_for(step) for hook in self.hooks)), None)

    # ------------------------------------------------------------------ what magics ask
    @property
    def site(self) -> Site:
        """What kind of place the running cell comes from."""
        return locate(self.host)

    @property
    def running(self) -> str:
        """The text of the running cell, also where it is what loads the extension."""
        code = str(self.host.request.get("content", {}).get("code", ""))
        return self.source or self.without_variables(code)

    def without_variables(self, code: str) -> str:
        """Return a cell without what ``colab exec --env`` has put before it: values of secrets."""
        is_sent_by_it = self.host.colab and self.site.kind == "front end"
        return _VARIABLES.sub("", code) if is_sent_by_it else code

    @property
    def is_setup_running(self) -> bool:
        """Whether the running cell is the setup cell."""
        return is_setup(self.running)

    @property
    def depth(self) -> int:
        """How many cells are running: a cell may run another."""
        return len(self.outer)

    @property
    def unsaved(self) -> List[Step]:
        """The steps that are not in the notebook yet: pending ones, then the running cell's."""
        return [step for step, _ in (*self.pending.entries, *self.cell_entries)]

    def recorded_parts(self, word: str) -> List[Any]:
        """See `Context`: those of the running cell last."""
        steps = [line.step for line in self.lines()[0] or ()]
        steps += self.unsaved
        return parts_of(word, steps)

    @property
    def known_lines(self) -> List[Line]:
        """The lines of the setup cell as it was last run or written."""
        return parse(self.setup_texts.get(self.host.client, ""))

    def lines(self) -> Tuple[Optional[List[Line]], str]:
        """Return the setup cell's lines as far as the kernel knows them, and where they are."""
        writer = self.writer()
        text = writer.read() if writer is not None else self._read_in_colab()
        if text is not None:
            return parse(text), "in the notebook"
        text = self.setup_texts.get(self.host.client)
        if text is not None:
            is_gone = writer is not None and writer.can_set_metadata
            return parse(text), GONE if is_gone else "as it was last run"
        text = self._read_file() if writer is None else None
        return (None, "") if text is None else (parse(text), "as it was last saved")

    def _read_file(self) -> Optional[str]:
        """Read the setup cell in the notebook's file, where nothing else is known of it."""
        path = self.notebook()
        try:
            return None if path is None else Document.load(path).setup_text(is_setup)
        except NotebookError:
            return None

    def _read_in_colab(self) -> Optional[str]:
        """Read the setup cell in Colab's browser, where no writer can read it."""
        from ..notebook import colab_message

        cells = colab_message.texts(self.host) if self.site.kind == "colab" else None
        return next(filter(is_setup, cells or ()), None)

    def writer(self) -> Optional[Writer]:
        """Return the writer that applies to the running cell, or None."""
        return self.writers()[0]

    def writers(self) -> Tuple[Optional[Writer], Tuple[Tuple[str, str], ...]]:
        """Return the writer that applies (or None), and (name, reason) of those that do not."""
        from ..notebook.writers import writer_for

        return writer_for(self.host, self.site, RunningCell(self.source, self.writing, is_setup))

    def locate(self, step: Step) -> Step:
        """Return the step of a line with its paths as they are recorded.

        In the setup cell they count from the start directory, elsewhere from where the kernel is:
        in a notebook that runs again after its setup cell, that may be where a cell further down
        had led. So a line that the setup cell has is read as it was recorded.
        """
        host = self.host
        if self.is_setup_running:
            return step
        here = step.spelled(host.spell_typed)
        if self.restored is None or self.restored != host.cwd:
            return here
        again = step.spelled(partial(host.spell_typed, base=host.start))
        return again if again != here and self._is_recorded(again) else here

    def _is_recorded(self, step: Step) -> bool:
        """Tell whether the setup cell that has run holds a step already."""
        try:
            recorded = step.recorded(self.host)
        except input_errors():
            return False
        if recorded is None or not recorded.parts():
            return False
        lines = parse(self.setup_texts.get(self.host.client, ""))
        return not merge(lines, [(recorded, "")])[1]

    def remember(self, step: Step) -> None:
        """Keep a step that succeeded, to be recorded when the cell ends."""
        try:
            text = render_verified(step)
        except input_errors() as error:
            say(f"Setup cell: not recorded. {error}")
            return
        if is_expanded(text):
            say("Setup cell: not recorded: IPython would expand $ and braces in the line")
        elif holds_secret(text):
            say("Setup cell: not recorded: the line contains a secret; remove it from the cell")
        else:
            self.cell_entries.append((step, step.note(self.host)))

    def take(self) -> List[Entry]:
        """Hand over all that is to be recorded: the caller records it now."""
        entries = [*self.pending.entries, *self.cell_entries]
        self.pending.entries.clear()
        self.cell_entries = []
        return entries

    def edit(self, change: Callable[[Sequence[Line]], Merged]) -> List[str]:
        """Change what this cell did, what is pending, and the setup cell if it can be written."""
        self.cell_entries, changes = edit_entries(self.cell_entries, change)
        changes += self.pending.edit(change)
        writer = self.writer()
        if writer is not None:
            for hook in self.hooks:
                hook.setup_edited()
            changes += edit(writer, lambda lines: change(lines or [])).changes
        return list(dict.fromkeys(changes))

    def forget_setup_cell(self) -> None:
        """Forget the setup cell that was run: it is gone, or will be."""
        self.setup_texts.pop(self.host.client, None)


class Hook:
    """What a magic does around each cell of one kernel; a subclass overrides what it needs."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def cell_begins(self, source: str) -> None:
        """Before a cell runs; not called for the cell that loads the extension."""

    def step_begins(self, step: Step) -> None:
        """Before a step of the running cell is checked and applied."""

    def step_applies(self, step: Step) -> None:
        """Before a step that does not hold is applied; what is raised here prevents that."""

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """After a step was applied or held, before it is remembered and its error is raised."""

    def cell_ends(self, result: Any) -> None:
        """After a cell has run, before what it did is recorded."""

    def setup_edited(self) -> None:
        """After lines of the setup cell were changed by anything but a step."""

    def cell_recorded(self, result: Any) -> None:
        """After what a cell did was recorded; not called where that failed."""

    def time_is_short(self) -> None:
        """After the notice that an hour or less of this machine remains."""

    def kernel_ends(self, machine: bool) -> None:
        """Before a line of ours ends this kernel, or gives its ``machine`` back."""

    def clones(self) -> Iterable[Path]:
        """Return the folders that lines of the notebook clone."""
        return ()

    def lock_for(self, step: Step) -> Any:
        """Return what holds a line of the running setup cell to exact versions, or None."""
        return None

    def close(self) -> None:
        """The extension is unloaded."""


T = TypeVar("T", bound=Hook)


class Hooks(List[Hook]):
    """The hooks of one kernel, in the order in which they are called."""

    def __init__(self, session: Session) -> None:
        super().__init__(load(target)(session) for target in HOOKS)
        self._session = session

    def of(self, kind: Type[T]) -> T:
        """Return the one of a kind, which is made if the table does not name it."""
        for hook in self:
            if isinstance(hook, kind):
                return hook
        self.append(kind(self._session))
        return self.of(kind)
