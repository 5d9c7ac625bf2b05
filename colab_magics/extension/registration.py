"""The magics: names, and the module of each, which is imported when it is first used."""

from __future__ import annotations

import re
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any, Callable, Container, Dict, List, Mapping, Optional, Tuple

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
    "checkpoint": "colab_magics.checkpoint.magic:CheckpointMagic",
    "secret": "colab_magics.secret.magic:SecretMagic",
    "gpu": "colab_magics.gpu.magic:GpuMagic",
    "setup": "colab_magics.setup.magic:SetupMagic",
    "shell": "colab_magics.shell.magic:ShellMagic",
    "jobs": "colab_magics.jobs.magic:JobsMagic",
    "session": "colab_magics.session.magic:SessionMagic",
    "resumable": "colab_magics.checkpoint.magic_resumable:ResumableMagic",
}

#: Of those, which as cell magics only watch the cell, which runs as it would without them.
WATCHERS = {"gpu", "resumable"}

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
        """Return what Tab offers after this magic's name, for IPython before 8.6."""
        return [text for text, _ in self.candidates(event.text_until_cursor, event.symbol)]

    def candidates(self, line: str, token: str) -> List[Tuple[str, str]]:
        """Return what Tab offers for the word that a line ends in, and of which kind each is.

        ``token`` is the end of that word which IPython completes: ``drive:my/da`` is more to us.
        """
        words = line.split()[1:]
        word = words.pop() if words and not line[-1].isspace() else ""
        if "--" in words:  # what follows is another program's
            return []
        tree = self.magic.parser()
        behind = list(words)
        while behind and behind[0] in tree.commands:
            tree = tree.commands[behind.pop(0)]
        awaits_value = behind and tree.takes_value(behind[-1])  # a file's name, unless it says
        offered = tree.complete(behind, word) if awaits_value else self.magic.complete(line, word)
        before = word[: len(word) - len(token)] if word.endswith(token) else ""
        return [
            (text[len(before) :], _kind(text, tree.commands, self.magic.completes))
            for text in dict.fromkeys(offered)
        ]


def _kind(text: str, commands: Container[str], other: str) -> str:
    """Return the kind of a candidate, which front ends show beside it."""
    if text.startswith("-"):
        return "option"
    if text.endswith("/") and "://" not in text:
        return "folder"
    return "command" if text in commands else other


#: What stands behind the name of a variable, not behind that of a magic without its percent sign.
_CODE = re.compile(r"\s*([^\w\s'\"~./-]|[-./]\s|(in|is|and|or|if|not)\b)")


def make_matcher(magics: Mapping[str, LazyMagic]) -> Optional[Callable[[Any], Any]]:
    """Return what IPython asks for candidates with their kinds, or None before 8.6.

    Where something of ours fits behind a ``%``, no name of Python does.
    """
    try:
        from IPython.core.completer import SimpleCompletion, context_matcher
    except ImportError:
        return None

    def match(context: Any) -> Any:
        line = context.text_until_cursor.lstrip()
        name, space, rest = line.lstrip("%").partition(" ")
        magic = magics.get(name) if space and (line[0] == "%" or not _CODE.match(rest)) else None
        candidates = magic.candidates(line, context.token) if magic else []
        completions = [SimpleCompletion(text, type=kind) for text, kind in candidates]
        suppress = bool(completions) and line[0] == "%"
        return {"completions": completions, "suppress": suppress, "ordered": True}

    matcher: Callable[[Any], Any] = context_matcher(identifier="colab_magics")(match)
    return matcher


def rewrite_cell_magic(lines: List[str]) -> List[str]:
    """Return a cell that begins with a cell magic of ours, in a form that IPython runs as meant.

    ``%%pin torch==1.5`` alone is a line magic: IPython refuses a cell magic without a body before
    the magic is asked (7.34 and 9.18). ``%%gpu`` is asked first, and the rest stays a cell like
    any other: with its errors, its last value, ``await``, and magics in it. So is ``%%resumable``.
    """
    first = lines[0] if lines else ""
    word, _, rest = first[2:].strip().partition(" ")
    if not first.startswith("%%") or word not in MAGICS:
        return lines
    if not any(line.strip() for line in lines[1:]):
        return [first[1:]] if rest else lines
    if word not in WATCHERS:
        return lines
    return [f"get_ipython().run_cell_magic({word!r}, {rest.strip()!r}, ' ')\n", *_body(lines[1:])]


# IPython would ask it too whether a half-typed cell is complete, and then run that at once.
rewrite_cell_magic.has_side_effects = True  # type: ignore[attr-defined]


def _body(lines: List[str]) -> List[str]:
    """Return the lines below a cell magic, which may begin with another one."""
    from IPython.core.inputtransformer2 import cell_magic, leading_indent

    filled = next(at for at, line in enumerate(lines) if line.strip())
    return lines[:filled] + list(cell_magic(leading_indent(lines[filled:])))


def skip_loading(lines: List[str]) -> List[str]:
    """Return a cell without the lines that load this extension, which is loaded.

    For each of them IPython would print two lines. What is unloaded before is loaded.
    """
    loads = [line.split() == ["%load_ext", "colab_magics"] for line in lines]
    is_body = "".join(lines).lstrip().startswith("%%")  # of a cell magic: a text like any other
    if is_body or not any(loads) or any("unload_ext" in line for line in lines):
        return lines
    from ..record.cell import statements

    result: List[str] = []
    for statement, is_magic in statements(lines):
        skipped = is_magic and loads[len(result)]
        result += ["\n"] if skipped else statement
    return result


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
    replaced: Dict[LazyMagic, Dict[str, Any]] = {}
    for name in MAGICS:
        magic = LazyMagic(name, session)
        # Colab has a %shell of its own, which is there again after ours is gone.
        magics = shell.magics_manager.magics
        before = {kind: by_name.get(name) for kind, by_name in magics.items()}
        shell.register_magic_function(magic, "line_cell", name)
        replaced[magic] = before
        undo.callback(_remove_magic, shell, name, before)
    _add_completion(shell, {magic.__name__: magic for magic in replaced}, undo)
    for event, handler in (
        ("pre_run_cell", partial(begin_cell, session)),
        ("post_run_cell", partial(_register_again, shell, replaced)),
        ("post_run_cell", partial(end_cell, session)),  # last: it may restart the kernel
    ):
        shell.events.register(event, handler)
        undo.callback(shell.events.unregister, event, handler)
    many = partial(transform_magics, shell.input_transformer_manager.do_token_transforms)
    for transformer in (rewrite_cell_magic, skip_loading, many):
        shell.input_transformers_cleanup.append(transformer)
        undo.callback(shell.input_transformers_cleanup.remove, transformer)
    setattr(shell, _UNDO, undo)


def _add_completion(shell: Any, magics: Mapping[str, LazyMagic], undo: ExitStack) -> None:
    matcher = make_matcher(magics)
    if matcher is not None:
        shell.Completer.custom_matchers.append(matcher)
        undo.callback(shell.Completer.custom_matchers.remove, matcher)
        return
    for name, magic in magics.items():
        for prefix in (f"%{name}", f"%%{name}"):
            shell.set_hook("complete_command", magic.complete, str_key=prefix)
            undo.callback(shell.strdispatchers["complete_command"].strs.pop, prefix, None)


def _register_again(shell: Any, replaced: Dict[LazyMagic, Dict[str, Any]], result: Any) -> None:
    """Register those of ours again that Colab's own package has replaced when it was reloaded.

    A magic that the user has put in the place of ours stays.
    """
    for kind, by_name in shell.magics_manager.magics.items():
        for magic, before in replaced.items():
            present = by_name.get(magic.__name__)
            if str(getattr(present, "__module__", "")).startswith("google.colab."):
                before[kind], by_name[magic.__name__] = present, magic


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
