"""What magics do around cells. Each kind is a class of its own, which the table `HOOKS` names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, List, Tuple, Type, TypeVar

from ..core.registry import load

if TYPE_CHECKING:
    from ..core.steps import Outcome, Step
    from .recorder import Session

#: Called in this order. Importing one must be light: it is done by ``%load_ext``.
HOOKS = (
    "colab_magics.github.hooks:Clones",
    "colab_magics.fetch.hooks:Prefetch",
    "colab_magics.pin.hooks:LockKeeper",
    "colab_magics.pin.hooks:UndoHistory",
    "colab_magics.pin.hooks:InstalledPast",
    "colab_magics.cd_persist.hooks:LostCd",
    "colab_magics.jobs.hooks:EndedJobs",
    "colab_magics.session.hooks:TimeLeft",
)


class Hook:
    """What a magic does around each cell of one kernel; a subclass overrides what it needs."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def cell_begins(self, source: str) -> None:
        """Before a cell runs; not called for the cell that loads the extension."""

    def step_begins(self, step: Step) -> None:
        """Before a step of the running cell is checked and applied."""

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """After a step was applied or held, before it is remembered and its error is raised."""

    def cell_ends(self, result: Any) -> None:
        """After a cell has run, before what it did is recorded."""

    def setup_edited(self) -> None:
        """After lines of the setup cell were changed by anything but a step."""

    def cell_recorded(self, result: Any) -> None:
        """After what a cell did was recorded; not called where that failed."""

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
