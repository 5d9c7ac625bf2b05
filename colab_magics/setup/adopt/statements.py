"""Statements of Python, each kind with the function that reads it: one line adds a kind."""

from __future__ import annotations

import ast
import re
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Type

from . import files, system
from .calls import CALLS, mkdir_of_path, read_ipython, text_at
from .shell import NotUnderstood
from .state import State
from .values import arguments_of, dotted, environment_name, evaluate, is_pure, words_of

_GPU = re.compile(r"cuda\.is_available|is_gpu_available|gpu_device_name|list_physical_devices")
_COLAB = re.compile(r"google\.colab|COLAB_|COLAB\b")
_EXISTS = ("os.path.exists", "os.path.isdir", "os.path.isfile", "os.path.lexists")
_MESSAGES = ("print", "display", "IPython.display.display", "warnings.warn")
#: Calls that wait for a person: for a file, a line, a login.
_ASKS = (
    "input",
    "google.colab.files.upload",
    "google.colab.auth.authenticate_user",
    "huggingface_hub.notebook_login",
)
_SECRETS = ("userdata.get", "UserSecretsClient.get_secret")
_PROMPTS = ("getpass", "getpass.getpass", "getpass.getpass.getpass")


def _expression(node: ast.Expr, state: State) -> None:
    value = node.value
    name = _name_of_call(value, state) if isinstance(value, ast.Call) else ""
    if read_ipython(value, state):
        return
    if isinstance(value, ast.Call) and name in CALLS:
        CALLS[name](value, state)
    elif isinstance(value, ast.Call) and name.endswith(".mkdir"):
        mkdir_of_path(value, state)
    elif is_pure(state, value) or is_message(node, state):
        _show(value, state)
    else:
        raise NotUnderstood("it is code of yours")


def _name_of_call(node: ast.Call, state: State) -> str:
    """Return the full name; calls within it, as in ``get_ipython().kernel``, by their names."""
    name, inner = dotted(state, node.func), node.func
    parts: List[str] = []
    while not name and isinstance(inner, (ast.Attribute, ast.Call)):
        if isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
        inner = inner.value if isinstance(inner, ast.Attribute) else inner.func
        name = dotted(state, inner)
    return ".".join([name, *reversed(parts)]) if name else ""


def is_message(node: ast.AST, state: State) -> bool:
    """Return whether a statement only prints or warns."""
    value = node.value if isinstance(node, ast.Expr) else None
    if not isinstance(value, ast.Call):
        return isinstance(node, ast.Pass) or isinstance(value, ast.Constant)
    pure = all(is_pure(state, each) for each in [*value.args, *arguments_of(value).values()])
    return pure and dotted(state, value.func) in _MESSAGES


def _show(node: ast.AST, state: State) -> None:
    """Drop what only shows something; what shows the GPU becomes a step."""
    if _GPU.search(" ".join(_names_of(node, state))):
        state.add("gpu", [])
    else:
        state.drop("it only shows something")


def _names_of(node: ast.AST, state: State) -> List[str]:
    calls = (each for each in ast.walk(node) if isinstance(each, ast.Call))
    return [dotted(state, each.func) for each in calls]


def asks(node: ast.AST, state: State) -> bool:
    """Return whether a statement waits for a person."""
    return any(name in _ASKS for name in _names_of(node, state))


def _assert(node: ast.Assert, state: State) -> None:
    if not (_GPU.search(" ".join(_names_of(node.test, state))) and is_pure(state, node.test)):
        raise NotUnderstood("it is a test of yours")
    state.add("gpu", ["require"])


# ---------------------------------------------------------------------- definitions
def _assign(node: ast.Assign, state: State) -> None:
    name = environment_name(state, node.targets[0])
    if len(node.targets) != 1 or name is None:
        raise NotUnderstood("it defines something")
    secret = secret_of(node.value, state)
    value = evaluate(state, node.value)
    if secret not in (None, "", name):
        raise NotUnderstood(f"the variable has another name than its secret, {secret}")
    if secret is not None:
        state.add("secret", [name])
    elif value is None:
        raise NotUnderstood("its value is not known before it runs")
    else:
        system.set_variable(name, value, state)


def secret_of(node: Optional[ast.AST], state: State) -> Optional[str]:
    """Return the name of the secret that an expression gets: empty for one that is typed."""
    name = _name_of_call(node, state) if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Call) and node.args and name.endswith(_SECRETS):
        return evaluate(state, node.args[0])
    return "" if name in _PROMPTS else None


def _augmented(node: ast.AugAssign, state: State) -> None:
    name = environment_name(state, node.target)
    folders = evaluate(state, node.value)
    if name is None or folders is None or not isinstance(node.op, ast.Add):
        raise NotUnderstood("it changes a variable")
    system.set_variable(name, f"${name}{folders}", state)


def is_definition(node: ast.stmt, state: State) -> bool:
    """Return whether a statement only binds names."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)):
        return True
    if isinstance(node, ast.Assign):
        plain = all(isinstance(x, (ast.Name, ast.Tuple)) for x in node.targets)
        return plain and (is_pure(state, node.value) or secret_of(node.value, state) is not None)
    return bool(_flags(node))


def _flags(node: ast.stmt) -> List[str]:
    """Return X of ``try: import google.colab; X = True`` with ``except: X = False``."""
    if not isinstance(node, ast.Try) or node.finalbody or "google" not in words_of(node):
        return []
    first, others = [*node.body, *node.orelse], [x for each in node.handlers for x in each.body]
    kinds = (ast.Import, ast.ImportFrom, ast.Assign, ast.Pass)
    assigned = [x for x in [*first, *others] if isinstance(x, ast.Assign)]
    constant = all(isinstance(x.value, ast.Constant) for x in assigned)
    if not constant or not all(isinstance(x, kinds) for x in [*first, *others]):
        return []
    true = [x for x in first if isinstance(x, ast.Assign) and getattr(x.value, "value", None)]
    return [each.id for x in true for each in x.targets if isinstance(each, ast.Name)]


def define(node: ast.stmt, names: Iterable[str], state: State) -> None:
    """Note what names mean after a statement that binds them."""
    for name in names:
        for known in (state.values, state.secrets, state.imports):
            if name in known:
                state.set(known, name, None)
                known.pop(name, None)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        for each in node.names:
            if module or each.asname:
                state.set(state.imports, each.asname or each.name, module + each.name)
    state.flags.update(_flags(node))
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    if isinstance(node, ast.Assign) and isinstance(target, ast.Name) and len(node.targets) == 1:
        secret, value = secret_of(node.value, state), evaluate(state, node.value)
        if isinstance(node.value, ast.Compare) and is_colab(node.value, state):
            state.flags.add(target.id)
        if secret is not None:
            state.set(state.secrets, target.id, secret or target.id)
        elif value is not None:
            state.set(state.values, target.id, value)


# ---------------------------------------------------------------------- branches
def _if(node: ast.If, state: State) -> None:
    """Read branches that a step does not need, since it changes nothing where it holds."""
    if not is_pure(state, node.test):
        raise NotUnderstood("its condition is computed")
    if _GPU.search(" ".join(_names_of(node.test, state))):
        _if_gpu(node, state)
        return
    colab = is_colab(node.test, state)
    if colab is not None:
        _read_colab(node.body if colab else node.orelse, state)
        if node.orelse:
            state.drop("only the branch for Colab").word = "note"
    elif _is_guard(node.test, state):
        _read_branches([body for body in (node.body, node.orelse) if body], state)
    else:
        raise NotUnderstood("it depends on a condition")


def is_colab(node: ast.AST, state: State) -> Optional[bool]:
    """Return whether a condition holds on Colab; None: it does not depend on that alone."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = is_colab(node.operand, state)
        return None if inner is None else not inner
    if isinstance(node, ast.BoolOp):
        parts = [is_colab(each, state) for each in node.values]
        is_any = isinstance(node.op, ast.Or) and True in parts
        return True if is_any else parts[0] if len({*parts}) == 1 else None
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    is_named = bool(names & {*state.flags, "IN_COLAB", "COLAB"})
    if _is_guard(node, state) or not (is_named or any(_COLAB.search(str(x)) for x in texts)):
        return None
    if not isinstance(node, ast.Compare):
        return True
    is_not = isinstance(node.ops[0], (ast.NotIn, ast.IsNot, ast.NotEq))
    other = node.comparators[0]
    return is_not == (isinstance(other, ast.Constant) and other.value in (None, False, ""))


def _is_guard(node: ast.AST, state: State) -> bool:
    """Return whether a condition is about what is there already."""
    names = _names_of(node, state)
    exists = any(name in _EXISTS or name.endswith((".exists", ".is_dir")) for name in names)
    return exists or any(dotted(state, each) == "sys.path" for each in ast.walk(node))


def _read_colab(body: Sequence[ast.stmt], state: State) -> None:
    if not body:
        raise NotUnderstood("it is for other hosts than Colab")
    read_all(body, state)


def _read_branches(bodies: Sequence[Sequence[ast.stmt]], state: State) -> None:
    """Read both branches, in the order in which one makes what the other updates."""
    mark = state.mark()
    try:
        _read_bodies(bodies, state)
    except NotUnderstood:
        if len(bodies) < 2:
            raise
        state.rollback(mark)
        _read_bodies(bodies[::-1], state)
    for name in state.assigned:  # which of its values it has is not known
        state.set(state.values, name, None)


def _read_bodies(bodies: Sequence[Sequence[ast.stmt]], state: State) -> None:
    """Read branches that leave the kernel in one folder, and of which the first has all steps."""
    start, final, first = state.cwd, state.final, len(state.drafts)
    places: List[Optional[str]] = []
    known: List[str] = []
    for body in bodies:
        state.set(state, "cwd", start)
        state.set(state, "final", final)
        before = len(state.drafts)
        read_all(body, state)
        new = {each.render() for each in state.drafts[before:] if each.kind != "dropped"}
        if before > first and new - {*known}:
            raise NotUnderstood("its branches are different")
        if before > first:
            state.drafts[before:] = [x for x in state.drafts[before:] if x.kind == "dropped"]
        known += new
        places.append(state.cwd)
    if len({*places}) > 1 or (places != [start] and len(bodies) == 1):
        raise NotUnderstood("its branches end in different folders")


def _if_gpu(node: ast.If, state: State) -> None:
    raises = any(isinstance(each, ast.Raise) for each in ast.walk(node))
    others = [each for each in [*node.body, *node.orelse] if not isinstance(each, ast.Raise)]
    if not all(is_message(each, state) for each in others):
        raise NotUnderstood("it depends on the GPU")
    state.add("gpu", ["require"] if raises else [])


def _try(node: ast.Try, state: State) -> None:
    """Read ``try: import x`` with an installation behind it, or with a version to keep."""
    if node.finalbody or node.orelse or len(node.handlers) != 1:
        raise NotUnderstood("it catches errors")
    handler = node.handlers[0].body
    kinds = {type(each) for each in node.body}
    if kinds <= {ast.Import, ast.ImportFrom}:
        read_all([x for x in handler if not isinstance(x, (ast.Import, ast.ImportFrom))], state)
    elif _kept_versions(node.body) and _kept_versions(node.body) == _kept_versions(handler):
        read_all(handler, state)
        state.drop("a pin keeps the version that is installed").word = "note"
    else:
        read_all(node.body, state)
        if not all(is_message(each, state) for each in handler):
            raise NotUnderstood("it catches errors")


def _kept_versions(nodes: Sequence[ast.stmt]) -> List[Tuple[str, str]]:
    """Return the names that get ``PACKAGE`` or ``f"PACKAGE=={module.__version__}"``, and of which.

    Empty: the statements do something else, too.
    """
    versions: List[Tuple[str, str]] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            continue
        value = node.value if isinstance(node, ast.Assign) else None
        parts = value.values if isinstance(value, ast.JoinedStr) else [value or node]
        text = parts[0].value if isinstance(parts[0], ast.Constant) else None
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if not isinstance(text, str) or not isinstance(target, ast.Name) or len(parts) > 2:
            return []
        if len(parts) == 2:
            if not text.endswith("==") or "__version__" not in words_of(parts[1]):
                return []
            text = text[:-2]
        versions.append((target.id, text))
    return versions


# ---------------------------------------------------------------------- others
def _with(node: ast.With, state: State) -> None:
    """Read ``with ZipFile(FILE) as z: z.extractall(FOLDER)``."""
    call, body = node.items[0].context_expr, node.body
    opened = dotted(state, call.func) if isinstance(call, ast.Call) else ""
    inner = body[0].value if len(body) == 1 and isinstance(body[0], ast.Expr) else None
    method = getattr(inner.func, "attr", "") if isinstance(inner, ast.Call) else ""
    if (
        opened not in ("zipfile.ZipFile", "tarfile.open")
        or not isinstance(call, ast.Call)
        or not isinstance(inner, ast.Call)
        or method != "extractall"
    ):
        raise NotUnderstood("it is code of yours")
    target = inner.args[0] if inner.args else arguments_of(inner).get("path")
    folder = evaluate(state, target) if target is not None else ""
    if folder is None:
        raise NotUnderstood("its folder is not known")
    program = "unzip" if opened == "zipfile.ZipFile" else ""
    files.extract(text_at(call, 0, state), folder, program, state)


#: Kind of statement -> how it is read.
STATEMENTS: Dict[Type[ast.AST], Callable[..., None]] = {
    ast.Expr: _expression,
    ast.Assert: _assert,
    ast.Assign: _assign,
    ast.AugAssign: _augmented,
    ast.If: _if,
    ast.Try: _try,
    ast.With: _with,
    ast.Pass: lambda _, state: state.drop("it does nothing"),
}


def read_all(nodes: Sequence[ast.stmt], state: State) -> None:
    """Read the statements of a block; names that it assigns are noted in the state."""
    for node in nodes:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            define(node, [(x.asname or x.name).partition(".")[0] for x in node.names], state)
        elif isinstance(node, ast.Assign) and isinstance(target, ast.Name):
            if not is_pure(state, node.value):
                raise NotUnderstood("it defines something")
            define(node, [target.id], state)
            state.assigned.add(target.id)
        else:
            read_node(node, state)


def read_node(node: ast.stmt, state: State) -> None:
    """Read a statement into lines; `NotUnderstood` where it is more than steps say."""
    recogniser = STATEMENTS.get(type(node))
    if recogniser is None:
        raise NotUnderstood("it is code of yours")
    recogniser(node, state)
