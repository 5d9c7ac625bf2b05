"""The magics: names, and the module of each, which is imported when it is first used."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any, Callable, Dict, List, Optional

from ..core.registry import entry_points, load

#: The name of a magic -> its class. Other packages add to it by the entry points
#: ``colab_magics.magics``.
MAGICS = {
    **entry_points("colab_magics.magics"),
    "pin": "colab_magics.pin.magic:PinMagic",
    "drive": "colab_magics.drive.magic:DriveMagic",
    "github": "colab_magics.github.magic:GithubMagic",
    "fetch": "colab_magics.fetch.magic:FetchMagic",
    "apt": "colab_magics.apt.magic:AptMagic",
    "env_persist": "colab_magics.env_persist.magic:EnvironmentMagic",
    "cd_persist": "colab_magics.cd_persist.magic:DirectoryMagic",
    "secret": "colab_magics.secret.magic:SecretMagic",
    "gpu": "colab_magics.gpu.magic:GpuMagic",
    "setup": "colab_magics.setup.magic:SetupMagic",
    "shell": "colab_magics.shell.magic:ShellMagic",
    "jobs": "colab_magics.jobs.magic:JobsMagic",
    "session": "colab_magics.session.magic:SessionMagic",
}

#: Of those, which as cell magics only watch the cell, which runs as it would without them.
AROUND = {"gpu"}

#: Those whose line IPython leaves as it is: ``$`` in it is another language's.
VERBATIM = {"shell"}

#: Where a shell keeps what takes back what one loading added to it.
_UNDO = "_colab_magics_undo"


class LazyMagic:
    """What IPython calls and shows the help of; the magic itself is imported on first use."""

    def __init__(self, name: str, session: Any) -> None:
        self.__name__ = name
        # IPython's own way takes the square of a line's length where there is nothing to expand.
        self._ipython_magic_no_var_expand = True
        self._session = session

    @property
    def __doc__(self) -> Optional[str]:  # type: ignore[override]
        """The help of the magic, for ``%name?``."""
        text: str = self.magic.help()
        return text

    @cached_property
    def magic(self) -> Any:
        """The magic, made once."""
        return load(MAGICS[self.__name__])(self._session)

    def __call__(self, line: str, cell: Optional[str] = None) -> Any:
        """Run the magic on a line; Ctrl-C shows one line, as a shell does."""
        from ..core.system_errors import explain_system_errors, refuse_impossible_text

        if self.__name__ not in VERBATIM and set(line) & set("${}"):
            line = self._session.host.shell.var_expand(line, 2)  # run_line_magic, and who calls it
        try:
            refuse_impossible_text(line, cell or "")
            with explain_system_errors():
                return self.magic(line, cell)
        except KeyboardInterrupt:
            from .output import interrupted

            # The way through our code helps nobody, and under %xmode Verbose it shows the values
            # of variables: the environment with its tokens, among them.
            raise interrupted() from None

    def complete(self, shell: Any, event: Any) -> List[str]:
        """Return what Tab offers after this magic's name."""
        words: List[str] = self.magic.complete(event.line, event.symbol)
        return words


def rewrite_cell_magic(lines: List[str]) -> List[str]:
    """Return a cell that begins with a cell magic of ours, in a form that IPython runs as meant.

    ``%%pin torch==1.5`` alone is a line magic: IPython refuses a cell magic without a body before
    the magic is asked (7.34 and 9.18). ``%%gpu`` is asked first, and the rest stays a cell like
    any other: with its errors, its last value, ``await``, and magics in it.
    """
    first = lines[0] if lines else ""
    word, _, rest = first[2:].strip().partition(" ")
    if not first.startswith("%%") or word not in MAGICS:
        return lines
    if not any(line.strip() for line in lines[1:]):
        return [first[1:]] if rest else lines
    if word not in AROUND:
        return lines
    return [f"get_ipython().run_cell_magic({word!r}, {rest.strip()!r}, ' ')\n", *_body(lines[1:])]


# IPython would ask it too whether a half-typed cell is complete, and then run that at once.
rewrite_cell_magic.has_side_effects = True  # type: ignore[attr-defined]


def _body(lines: List[str]) -> List[str]:
    """Return the lines below a cell magic, which may begin with another one."""
    from IPython.core.inputtransformer2 import cell_magic, leading_indent

    filled = next(at for at, line in enumerate(lines) if line.strip())
    return lines[:filled] + list(cell_magic(leading_indent(lines[filled:])))


#: Line magics in one cell that IPython transforms itself: each time it reads all of the cell anew,
#: and after 500 it gives up.
_FEW = 50


def transform_magics(transform: Callable[[List[str]], List[str]], lines: List[str]) -> List[str]:
    """Return a setup cell of many line magics, in which IPython has transformed each by itself.

    All else in the cell is left to IPython, as are magics in a string, a bracket or a block.
    """
    if sum(line.startswith("%") for line in lines) < _FEW or lines[0].startswith("%%"):
        return lines
    from ..record.cell import is_setup, statements

    if not is_setup("".join(lines)):
        return lines
    result: List[str] = []
    for statement, is_magic in statements(lines):
        result += transform(list(statement)) if is_magic else statement
    return result


def register(shell: Any) -> None:
    """Add the magics, their completion and the recording at the end of each cell."""
    from .recording import begin_cell, end_cell
    from .session import get_session

    unregister(shell)
    session = get_session(shell)
    undo = ExitStack()
    undo.callback(session.close)
    for name in MAGICS:
        magic = LazyMagic(name, session)
        # Colab has a %shell of its own, which is there again after ours is gone.
        magics = shell.magics_manager.magics
        before = {kind: by_name.get(name) for kind, by_name in magics.items()}
        shell.register_magic_function(magic, "line_cell", name)
        undo.callback(_remove_magic, shell, name, before)
        for prefix in (f"%{name}", f"%%{name}"):
            shell.set_hook("complete_command", magic.complete, str_key=prefix)
            undo.callback(shell.strdispatchers["complete_command"].strs.pop, prefix, None)
    for event, handle in (("pre_run_cell", begin_cell), ("post_run_cell", end_cell)):
        handler = partial(handle, session)
        shell.events.register(event, handler)
        undo.callback(shell.events.unregister, event, handler)
    many = partial(transform_magics, shell.input_transformer_manager.do_token_transforms)
    for transformer in (rewrite_cell_magic, many):
        shell.input_transformers_cleanup.append(transformer)
        undo.callback(shell.input_transformers_cleanup.remove, transformer)
    setattr(shell, _UNDO, undo)


def unregister(shell: Any) -> None:
    """Take back what `register` added; pending lines stay with the shell's session."""
    if hasattr(shell, _UNDO):
        getattr(shell, _UNDO).close()
        delattr(shell, _UNDO)


def _remove_magic(shell: Any, name: str, before: Dict[str, Any]) -> None:
    magics: Dict[str, Dict[str, Any]] = shell.magics_manager.magics
    for kind, by_name in magics.items():
        if isinstance(by_name.get(name), LazyMagic):
            del by_name[name]
            if before.get(kind) is not None:
                by_name[name] = before[kind]
