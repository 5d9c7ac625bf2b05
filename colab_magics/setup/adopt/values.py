"""What an expression is worth, without running it: constant texts, joined, and paths."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import Any, Dict, List, Mapping, Optional

from .shell import NotUnderstood, name_list
from .state import SECRET, State, here

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|\$\$|\$\{(\w+)\}|\$([A-Za-z_]\w*)")

#: What a name means where its import is in a cell that is not read.
_USUAL = {
    "drive": "google.colab.drive",
    "userdata": "google.colab.userdata",
    "tf": "tensorflow",
    "Path": "pathlib.Path",
    "ZipFile": "zipfile.ZipFile",
    "clear_output": "IPython.display.clear_output",
}
#: Calls that only return something: printing them, or a test, changes nothing.
PURE = frozenset(
    name_list("""
    str int float bool len list tuple dict set sorted round min max sum abs repr format type zip
    range enumerate isinstance getattr hasattr any all map filter vars dir id globals locals
    os.getcwd os.listdir os.cpu_count os.environ.get os.getenv os.environ.keys os.environ.items
    os.path.join os.path.exists os.path.isdir os.path.isfile os.path.abspath os.path.dirname
    os.path.basename os.path.expanduser os.path.getsize os.getpid os.uname
    sys.version.split platform.platform platform.python_version platform.uname platform.node
    pathlib.Path pathlib.Path.cwd pathlib.Path.home
    torch.cuda.is_available torch.cuda.device_count torch.cuda.get_device_name torch.device
    torch.cuda.current_device torch.cuda.get_device_properties torch.cuda.get_device_capability
    torch.backends.cudnn.version torch.cuda.is_bf16_supported torch.cuda.mem_get_info
    torch.backends.mps.is_available torch.cuda.max_memory_reserved torch.cuda.memory_allocated
    tensorflow.test.is_gpu_available tensorflow.test.gpu_device_name
    tensorflow.test.is_built_with_cuda
    tensorflow.config.list_physical_devices tensorflow.config.experimental.list_physical_devices
    tensorflow.config.list_logical_devices
    jax.devices jax.device_count jax.local_device_count jax.default_backend
    tensorflow.python.client.device_lib.list_local_devices
    multiprocessing.cpu_count psutil.virtual_memory shutil.disk_usage time.time
    get_ipython importlib.util.find_spec importlib.metadata.version
    """)
)
#: Methods of texts and paths, likewise.
_METHODS = frozenset(
    name_list("""
    format join split strip rstrip lstrip upper lower startswith endswith replace keys values items
    get exists is_dir is_file resolve absolute as_posix total_seconds group title iterdir glob count
    """)
)

#: Methods that return a path as it is here, and calls that return another text of texts.
_SAME = ("resolve", "absolute", "as_posix", "expanduser")
_JOINS = ("os.path.join", "pathlib.Path")
_CALLS: Mapping[str, Any] = {
    **dict.fromkeys(_JOINS, posixpath.join),
    **dict.fromkeys(("os.path.expanduser", "os.path.abspath", "str"), str),
    "os.path.dirname": posixpath.dirname,
    "os.path.basename": posixpath.basename,
    "os.path.normpath": posixpath.normpath,
}


def dotted(state: State, node: Optional[ast.AST]) -> str:
    """Return what a name or an attribute means, in full: ``os.path.join``; empty: nothing known."""
    parts: List[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    first = state.imports.get(node.id) or _USUAL.get(node.id, node.id)
    return ".".join([first, *reversed(parts)])


def is_pure(state: State, node: ast.AST) -> bool:
    """Return whether an expression only reads."""
    for each in ast.walk(node):
        if isinstance(each, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)):
            return False
        if isinstance(each, ast.Call):
            name = dotted(state, each.func)
            method = each.func.attr if isinstance(each.func, ast.Attribute) else ""
            if name not in PURE and method not in _METHODS:
                return False
    return True


def evaluate(state: State, node: Optional[ast.AST]) -> Optional[str]:
    """Return the text of an expression; None where it is not known. Paths are texts too.

    A variable of the environment is ``$NAME`` in it, which only lists of folders may have.
    """
    if node is None:
        return None
    if isinstance(node, ast.Constant):
        known = isinstance(node.value, (str, int)) and not isinstance(node.value, bool)
        return str(node.value) if known else None
    if isinstance(node, ast.Name):
        secret = state.secrets.get(node.id)
        return SECRET.format(secret) if secret else state.values.get(node.id)
    if isinstance(node, ast.JoinedStr):
        return _join([evaluate(state, each) for each in node.values])
    if isinstance(node, ast.FormattedValue):
        plain = node.format_spec is None and node.conversion in (-1, 115)
        return evaluate(state, node.value) if plain else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
        parts = [evaluate(state, node.left), evaluate(state, node.right)]
        if isinstance(node.op, ast.Add):
            return _join(parts)
        return None if None in parts else posixpath.join(*map(str, parts))
    if isinstance(node, ast.Attribute) and node.attr == "__version__":
        return state.values.get(dotted(state, node))
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        path = evaluate(state, node.value)
        return None if path is None else posixpath.dirname(path)
    name = environment_name(state, node)
    if name is not None:
        return f"${name}"
    return _evaluate_call(state, node) if isinstance(node, ast.Call) else None


def environment_name(state: State, node: ast.AST) -> Optional[str]:
    """Return the name in ``os.environ[NAME]``, or in a call that gets that variable."""
    if isinstance(node, ast.Call) and dotted(state, node.func) in ("os.environ.get", "os.getenv"):
        return evaluate(state, node.args[0]) if node.args else None
    if not isinstance(node, ast.Subscript) or dotted(state, node.value) != "os.environ":
        return None
    index = node.slice  # Python 3.8 has a node around it
    index = getattr(index, "value", index) if type(index).__name__ == "Index" else index
    return evaluate(state, index)


def _evaluate_call(state: State, node: ast.Call) -> Optional[str]:
    name = dotted(state, node.func)
    arguments = [evaluate(state, each) for each in node.args]
    if name in ("os.getcwd", "pathlib.Path.cwd"):
        return here(state)
    if name == "pathlib.Path.home":
        return "~"
    if isinstance(node.func, ast.Attribute) and node.func.attr in _SAME and not arguments:
        return evaluate(state, node.func.value)
    if name not in _CALLS or not arguments or None in arguments or node.keywords:
        return None
    return str(_CALLS[name](*arguments)) if len(arguments) == 1 or name in _JOINS else None


def _join(parts: List[Optional[str]]) -> Optional[str]:
    return None if None in parts else "".join(map(str, parts))


def arguments_of(node: ast.Call) -> Dict[str, ast.expr]:
    """Return the keyword arguments of a call."""
    return {each.arg: each.value for each in node.keywords if each.arg}


def expand(state: State, text: str) -> str:
    """Return a command with the values that IPython would put into it."""

    def replace(match: Any) -> str:
        braces, *names = match.groups()
        if match[0] in ("{{", "}}", "$$"):
            return str(match[0][0])
        name = next(filter(None, names), "") if braces is None else braces
        value = text_of(state, name)
        if value is None and braces is None and state.variables.get(name):
            return str(match[0])  # the shell puts it in
        if value is None:
            raise NotUnderstood(f"it depends on {match[0]}")
        return value

    return _PIECE.sub(replace, text)


def text_of(state: State, code: str) -> Optional[str]:
    """Return the text that an expression has; None where it is not known."""
    try:
        return evaluate(state, ast.parse(code.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def words_of(node: ast.AST) -> str:
    """Return the names and texts in a node, for a search."""
    words = (
        getattr(each, field, "")
        for each in ast.walk(node)
        for field in ("value", "id", "attr", "name")
        if not isinstance(getattr(each, field, None), ast.AST)
    )
    return " ".join(map(str, words))
