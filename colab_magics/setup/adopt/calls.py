"""Magics and calls of Python, each with the function that reads it: one line adds a call."""

from __future__ import annotations

import ast
import re
import shlex
from typing import Any, Callable, Dict, List, Optional, Tuple

from ...core.arguments import split as split_line
from ...core.errors import input_errors
from ...core.steps import STEPS
from ...core.steps import parse as parse_step
from . import files, system
from .commands import read_apart, read_command, read_line
from .shell import Command, NotUnderstood, name_list, put_values, split
from .source import ipython_call
from .state import State
from .values import arguments_of, dotted, evaluate, expand

#: Magics that are programs of the shell too.
_ALIASES = frozenset(name_list("pip uv conda mamba ls rm cp mv mkdir cat pwd ll"))
#: Magics that set up a session, and may run twice.
_SESSION = frozenset(
    name_list("matplotlib autoreload load_ext reload_ext config precision tensorboard")
)
_SHOWS = name_list("pwd who whos lsmagic time env")
#: Calls that end the kernel.
_ENDS = name_list(
    "os.kill os._exit exit quit sys.exit get_ipython.kernel.do_shutdown "
    "IPython.Application.instance.kernel.do_shutdown runtime.unassign"
)
#: The recogniser of a call, by its full name.
Call = Callable[[ast.Call, State], None]


# ---------------------------------------------------------------------- magics and commands
def read_magic(name: str, line: str, state: State) -> None:
    """Read a line magic."""
    if name in STEPS:
        _read_own(name, expand(state, line), state)
    elif name in ("load_ext", "reload_ext") and line.strip() == "colab_magics":
        state.drop("the setup cell loads it")
    elif name in _ALIASES:
        read_line(expand(state, f"{name} {line}"), state)
    elif name == "cd":
        _read_cd(expand(state, line), state)
    elif name in _SHOWS and not line.strip():
        state.drop("it only shows something")
    elif name in ("env", "set_env"):
        _read_env(line, state)
    elif name == "tensorflow_version":
        state.drop("it raises an error on Colab today").word = "raises"
    elif name in _SESSION:
        word = "reload_ext" if name == "load_ext" else name
        state.add_line(f"%{word} {line}".rstrip())
    else:
        raise NotUnderstood(f"%{name} is no step")


def _read_cd(line: str, state: State) -> None:
    """Read ``%cd``, whose folder is all of the line, as IPython reads it: it has no comments."""
    try:
        words = shlex.split(line)
    except ValueError:
        raise NotUnderstood("a quote is not closed") from None
    if words[:1] == ["-q"]:
        words.pop(0)
    if words and words[0].startswith("-"):
        raise NotUnderstood("its folder is not known here")
    files.change(" ".join(words), state)


def _read_own(name: str, line: str, state: State) -> None:
    """Read a line that is a step already; its paths count from where the kernel is."""
    words = split_line(line).words
    try:
        step = parse_step(name, words)
    except input_errors() as error:
        raise NotUnderstood(str(error).split("\n")[0]) from None
    if step is None:
        raise NotUnderstood(f"%{name} has no line in a setup cell for this")
    if name == "cd_persist":
        files.change(words[0], state)
    else:
        state.add(name, step.spelled(state.place).arguments(), "as it is")


def _read_env(line: str, state: State) -> None:
    match = re.fullmatch(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*", line, re.DOTALL)
    if match is None:
        state.drop("it only shows something")
        return
    name, value = match[1], match[2]
    if not re.search(rf"\$\{{?{name}\b", value):  # its old value is the shell's, not Python's
        value = expand(state, value)
    system.set_variable(name, value, state)


def read_ipython(node: ast.AST, state: State) -> bool:
    """Read what IPython makes of a magic or a command; False: it is something else."""
    method, texts = ipython_call(node)
    if method in ("system", "getoutput", "sx") and len(texts) == 1:
        read_line(expand(state, texts[0]), state)
    elif method in ("run_line_magic", "magic") and texts:
        name, _, line = texts[0].partition(" ") if len(texts) == 1 else (texts[0], "", texts[1])
        read_magic(name, line, state)
    else:
        return False
    return True


def read_script(body: str, state: State) -> None:
    """Read a cell of ``%%bash``: its folder is its own."""
    commands = split(put_values(body, state.variables))
    read_apart([each for each in commands if each.words[:1] != ["set"]], state)


# ---------------------------------------------------------------------- calls
def text_at(node: ast.Call, at: int, state: State) -> str:
    """Return an argument of a call; `NotUnderstood` where its text is not known."""
    return _text(node.args[at] if len(node.args) > at else None, state)


def _text(node: Optional[ast.AST], state: State) -> str:
    text = evaluate(state, node)
    if text is None:
        raise NotUnderstood("it depends on a variable")
    return text


def _with_texts(reader: Callable[..., Any], count: int) -> Call:
    """Return a recogniser that gives a function the texts of the first arguments."""
    return lambda node, state: reader(*(text_at(node, at, state) for at in range(count)), state)


def _dropped(why: str) -> Call:
    def read(node: ast.Call, state: State) -> None:
        state.drop(why)

    return read


def _mount(node: ast.Call, state: State) -> None:
    point = text_at(node, 0, state).rstrip("/") if node.args else "/content/drive"
    usual = point in ("/content/drive", "/content/gdrive")
    state.add("drive", ["mount", *([] if usual else [point])])


def mkdir_of_path(node: ast.Call, state: State) -> None:
    """Read ``Path(...).mkdir()``."""
    files.make_folder(_text(getattr(node.func, "value", None), state), state)


def _sys_path(node: ast.Call, state: State) -> None:
    inserted = isinstance(node.func, ast.Attribute) and node.func.attr == "insert"
    place = text_at(node, 1 if inserted else 0, state)
    mode = "--prepend" if inserted else "--append"
    system.add_folder("PYTHONPATH", place or ".", mode, state, "in sys.path, too")


def _subprocess(node: ast.Call, state: State) -> None:
    words = node.args[0] if node.args else None
    extra = {*arguments_of(node)} - {"check", "shell", "stdout", "stderr", "capture_output", "text"}
    if extra:
        raise NotUnderstood("it runs a program in a way of its own")
    if isinstance(words, (ast.List, ast.Tuple)) and words.elts:
        is_python = [dotted(state, each) == "sys.executable" for each in words.elts]
        texts = ["python" if x else _text(y, state) for x, y in zip(is_python, words.elts)]
        read_command(Command(texts), state)
    else:
        read_line(_text(words, state), state)


def _environment(node: ast.Call, state: State) -> None:
    """Read ``os.environ.update``."""
    pairs: List[Tuple[Any, ast.expr]] = []
    for each in node.args:
        if not isinstance(each, ast.Dict):
            raise NotUnderstood("it sets variables that are not known")
        pairs += zip(each.keys, each.values)
    pairs += zip(map(ast.Constant, arguments_of(node)), arguments_of(node).values())
    for key, value in pairs:
        system.set_variable(_text(key, state), _text(value, state), state)


def _gdown(node: ast.Call, state: State) -> None:
    keywords = arguments_of(node)
    if {*keywords} - {"id", "url", "output", "quiet", "fuzzy"}:
        raise NotUnderstood("gdown is called in a way of its own")
    arguments = [*node.args, None, None]
    source = _text(keywords.get("id") or keywords.get("url") or arguments[0], state)
    output = keywords.get("output") or arguments[1]
    files.download_shared(source, _text(output, state) if output else "", state)


#: Full name of what is called -> how it is read.
CALLS: Dict[str, Call] = {
    "google.colab.drive.mount": _mount,
    "os.chdir": _with_texts(files.change, 1),
    **dict.fromkeys(("os.makedirs", "os.mkdir"), _with_texts(files.make_folder, 1)),
    **dict.fromkeys(("sys.path.append", "sys.path.insert"), _sys_path),
    "os.system": _with_texts(read_line, 1),
    "os.environ.update": _environment,
    "os.environ.setdefault": _with_texts(system.set_variable, 2),
    **{f"subprocess.{x}": _subprocess for x in ("check_call", "run", "call", "check_output")},
    "gdown.download": _gdown,
    "urllib.request.urlretrieve": _with_texts(files.fetch_file, 2),
    **{f"shutil.{x}": _with_texts(files.copy_file, 2) for x in ("copy", "copyfile", "copy2")},
    **dict.fromkeys(_ENDS, _dropped("a step asks for a restart where it needs one")),
    "IPython.display.clear_output": _dropped("it only clears the output"),
}
