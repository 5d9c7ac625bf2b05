"""``%%resumable``: the loop of the cell goes on after a kill with the turn that was cut."""

from __future__ import annotations

import ast
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Tuple, Union

from ..core.arguments import Parser, parse_duration
from ..core.errors import ColabMagicsError, usage_error
from ..extension.magic import Call, Magic
from ..extension.output import say
from ..extension.session import Hook, Session
from .hooks import Checkpoints
from .magic_cells import cell_id

if TYPE_CHECKING:
    from .cut import Cut
    from .loop import Cell, Loop, Position
    from .restore import Restored

#: Where a shell has the loop that runs, for the cell: no name of ours is among the user's.
_ATTRIBUTE = "_colab_magics_loop"
_RUNNER = f"get_ipython().{_ATTRIBUTE}"


class ResumableMagic(Magic):
    """Go on with a loop after a kill, at the turn that was cut.

    ``%%resumable`` stands above a cell with one ``for`` at its left margin. The cell runs as it
    would without it; at the beginning of a turn, where the last one is a minute ago, a checkpoint
    is made (see ``%checkpoint``) that has the turn beside the variables. ``--every 10m``: where it
    is so long ago. Saving takes 2 % of the time at most: where it is slow, it is done less often.

    On the next machine, once the setup cell has brought the variables back, the same cell goes on:
    what stands before its ``for`` is not run again, what the ``for`` goes through is made again
    with the random generators as they were, and the turns that are done are skipped.

    Examples
    --------
    ::

        %%resumable
        losses = []
        for epoch in range(100):
            losses.append(train(model))

        %%resumable --every 10m
        for batch in loader:
            step(batch)
    """

    name = "resumable"
    dry_run_commands = ()

    @classmethod
    def parser(cls) -> Parser:
        """Return the arguments of ``%%resumable``."""
        tree = Parser("%resumable", usage="%%%%resumable [--every 1m]")
        tree.add_argument("--every", default="1m", metavar="TIME", help="save so often: 30s, 10m")
        return tree

    def run(self, call: Call) -> None:
        """Make the loop of the running cell ready, or refuse the cell before anything of it ran."""
        _, arguments = self.parser().parse_words(call.words)
        every = parse_duration(arguments.every)
        if call.body is not None and call.body.strip():  # as a text, such as below %%gpu
            line = f"%%resumable --every {arguments.every}"
            self.host.shell.run_cell(f"{line}\n{call.body}").raise_error()
            return
        self.session.hooks.of(Loops).begin(every)


@dataclass
class _Prepared:
    """A cell that was read and is about to run: its loop, or why it has none; a line to show."""

    loop: Union[Loop, Exception]
    line: str = ""


class Loops(Hook):
    """Changes the syntax tree of cells below ``%%resumable``; knows the loop that was cut."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._prepared: Optional[_Prepared] = None
        self._restored: Optional[Restored] = None
        self._cut: Optional[Cut] = None
        self._warned = ""

    # ------------------------------------------------------------------ around cells
    def cell_begins(self, source: str) -> None:
        """Have IPython pass the cell's syntax tree through `visit`."""
        self._prepared = None
        transformers = self.session.host.shell.ast_transformers
        if "resumable" in source and self not in transformers:
            transformers.append(self)

    def cell_ends(self, result: Any) -> None:
        """Note the variables as a restore in this cell has left them."""
        restored = self.session.hooks.of(Checkpoints).restored
        if restored is self._restored:
            return
        self._restored, self._cut = restored, None
        if restored is not None and "loop" in restored.states:
            from .cut import Cut

            missing = {*restored.present, *(lost.name for lost in restored.lost)}
            namespace, state = self.session.host.shell.user_ns, restored.states["loop"]
            self._cut = Cut.read(state, restored.names, missing, namespace)

    def close(self) -> None:
        """Leave the syntax trees alone."""
        with suppress(ValueError):
            self.session.host.shell.ast_transformers.remove(self)

    # ------------------------------------------------------------------ the cell
    def visit(self, tree: Any) -> Any:
        """Return the syntax tree of a cell, changed below ``%%resumable``; raise nothing."""
        statements = getattr(tree, "body", None)
        if not isinstance(statements, list) or not statements or not _is_ours(statements[0]):
            return tree
        from .loop import Loop, read_cell

        try:
            cell = read_cell(statements[1:])
            position, line = self._find_position(cell)
        except ColabMagicsError as error:
            self._prepared = _Prepared(error)
            return tree
        shell, own_id = self.session.host.shell, cell_id(self.session.host.request)
        loop = Loop(cell, shell.user_ns, position, self._save, self._forget, own_id)
        self._prepared = _Prepared(loop, line)
        tree.body[1:] = cell.statements(position is not None, _RUNNER)
        return tree

    def begin(self, every: float) -> None:
        """Make the loop of the running cell ready; raise where it has none."""
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            raise usage_error(
                "%%resumable stands above a cell with a for loop.",
                "Write it as the first line of such a cell.",
                code="no-body",
            )
        if isinstance(prepared.loop, Exception):
            raise prepared.loop
        if not self.session.hooks.of(Checkpoints).is_keeping:
            raise ColabMagicsError(
                "%%resumable: no checkpoints are made in this kernel.",
                "Begin with them: %checkpoint",
                code="no-checkpoints",
            )
        say(*filter(None, [prepared.line]))
        prepared.loop.every = every
        setattr(self.session.host.shell, _ATTRIBUTE, prepared.loop)

    def _find_position(self, cell: Cell) -> Tuple[Optional[Position], str]:
        """Return where the loop goes on, if it was cut, and a line to show."""
        cut = self._cut
        if cut is None:
            return None, ""
        own_id = cell_id(self.session.host.request)
        if cut.position.hash != cell.hash:
            if cut.position.cell != own_id:  # another loop
                return None, ""
            if own_id:  # else it may be another one all the same
                self._cut = None
            return None, "%%resumable: from its first turn: it is not the cell that was cut"
        self._cut = None
        reason = cut.find_reason(cell, self.session.host.shell.user_ns)
        if not reason:
            self._cut = cut  # until it goes on
            return cut.position, f"%%resumable: goes on with turn {cut.position.turn + 1}"
        return None, f"%%resumable: from its first turn: {reason}"

    def _forget(self) -> None:
        self._cut = None

    def _save(self, position: Position) -> None:
        """Make a checkpoint of a turn; a failure is shown once, and the loop goes on."""
        try:
            self.session.hooks.of(Checkpoints).save({"loop": dict(vars(position))})
        except ColabMagicsError as error:
            if str(error) != self._warned:
                self._warned = str(error)
                say(f"%%resumable: not saved. {error}")


def _is_ours(node: ast.stmt) -> bool:
    """Tell whether a statement is what `rewrite_cell_magic` puts in the place of the line."""
    call = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    names = [argument.value for argument in call.args[:1] if isinstance(argument, ast.Constant)]
    return call.func.attr == "run_cell_magic" and names == [ResumableMagic.name]
