"""What a cell does to names, and to what no variable holds, by its source; nothing is run.

The compiler tells which names a cell reads and binds. An object that the cell mentions counts as
changed, except where the syntax only looks at it: what a call does to it no source tells.
"""

from __future__ import annotations

import ast
import dis
import inspect
import re
import types
import warnings
from functools import lru_cache
from typing import Any, Iterable, Iterator, Optional, Sequence, Set, Tuple

from .cells import Effects

#: Cell magics after which the rest is Python, and those after which it is not.
_PYTHON = re.compile(r"%%(time|capture|gpu|resumable)\b([^\n]*)\n?")
_OTHER = re.compile(r"%%(bash|sh|html|javascript|js|latex|markdown|svg|writefile|file)\b[^\n{$]*\n")
#: Line magics whose argument is a statement.
_STATEMENT = re.compile(r"^([ \t]*)%(?:time|prun)[ \t]+(?!-)(?=\S)", re.MULTILINE)
#: A magic, command or question for help on a line, after the name that takes its result.
_MAGIC = re.compile(
    r"^([ \t]*)([A-Za-z_][\w, \t]*=[ \t]*)?(?:[%!]((?:.*\\\n)*.*)|\?+[\w.*]+|[\w.*]+\?+)[ \t]*$",
    re.MULTILINE,
)
#: What IPython puts into such a line: `{expression}` and `$name`.
_EXPANDED = re.compile(r"\{([^{}]+)\}|\$([A-Za-z_]\w*)")

#: What the process of a kernel holds, which no checkpoint has.
PROCESS = "<process>"
#: What cells use beside variables, as a name, and how it is seen in a source.
_HIDDEN = {
    "<random>": r"rand|seed|shuffle|sampl|choice|permut|dropout|\.fit\(",
    "<files>": r"""
        (?m:^\s*!)|=\s*!|open\(|read|load|write|sav|dump|Path\(|glob|\bos\.|shutil|to_\w+\(|
        subprocess|download|exists|(?m:^%%(bash|sh|writefile|script))
    """,
    PROCESS: r"""
        (?m:^\s*%(?!.*colab_magics)(matplotlib|config|load_ext|reload_ext|autoreload|precision))|
        \b(set_option|rcParams|rcdefaults|style\.use|matplotlib\.use|set_theme|set_style|
        set_context|set_palette|filterwarnings|simplefilter|set_printoptions|seterr|environ\b.*=|
        sys\.path|chdir|basicConfig|setLevel|set_verbosity\w*|set_default_\w+|set_num_threads|
        use_deterministic_algorithms|set_config|setrecursionlimit|setlocale|setcontext)\b|
        \boptions\.[\w.]+\s*=|%(?:cd|env)\b
    """,
}
_PATTERNS = {name: re.compile(text, re.VERBOSE | re.MULTILINE) for name, text in _HIDDEN.items()}
#: The name of all that cells may do whose effects are not known.
ANYTHING = "<anything>"
#: The names that are no variables.
HIDDEN = frozenset((*_HIDDEN, ANYTHING))
#: What may do anything with names.
_UNKNOWN = re.compile(
    r"\bdir\(\)|\b(exec|eval|globals|locals|vars|setattr|run_cell|run_line_magic|run_cell_magic|user_ns|"
    r"__dict__|__main__|sys\.modules)\b|"
    r"^\s*from\s+\S+\s+import\s*\*|^\s*%(run|load|store|pylab|cython|reset|xdel)\b",
    re.MULTILINE,
)
#: Names of earlier results, by their number or in a list: which they are depends on all cells.
_NUMBERED = re.compile(r"_i*\d+|Out|In|_oh|_ih|_i+|__+")
#: The name of the last result, which IPython calls ``_``.
RESULT = "<result>"
#: Functions, and attributes and methods, that only look at an object.
_LOOKS = frozenset(
    ("print", "len", "display", "repr", "str", "int", "float", "bool", "round", "type", "range")
)
_SHOWS = frozenset(
    ("head", "tail", "describe", "info", "shape", "size", "dtype", "dtypes", "columns", "copy")
)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
#: Code in code that runs with it.
_AT_ONCE = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_FLAGS = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)


@lru_cache(maxsize=1000)
def find_effects(source: str) -> Optional[Effects]:
    """Return what a cell does; None where its source does not tell."""
    if _UNKNOWN.search(source):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the cell has shown them
            tree = _parse(source)
            reader = _read(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if any(map(_NUMBERED.fullmatch, reader.reads)):
        return None
    nodes = list(ast.walk(tree))
    touched = _touched(nodes)
    hidden = {name for name, pattern in _PATTERNS.items() if pattern.search(source)}
    shows = bool(tree.body) and isinstance(tree.body[-1], ast.Expr)
    last = {RESULT} if "_" in reader.reads else set()
    return Effects(
        frozenset(reader.reads | reader.globals | hidden | last),
        frozenset(reader.defines | ({RESULT} if shows else set())),
        # A name that a cell binds before it changes the object does nothing to what there was.
        frozenset((touched & reader.reads) | hidden | reader.globals),
        frozenset(_constants(tree, nodes)),
        frozenset(reader.uses),
        frozenset((touched & reader.uses) | reader.globals),
    )


def read_names(statements: Iterable[ast.AST]) -> Set[str]:
    """Return the names that statements may read before they have bound them, in each turn."""
    return _read(statements).reads


def changed_names(statements: Sequence[ast.AST]) -> Set[str]:
    """Return the names that statements bind, or change by an attribute, an item or a method."""
    reader = _read(statements)
    names = set()
    for node in (inner for outer in statements for inner in ast.walk(outer)):
        target: Any = node.func if isinstance(node, ast.Call) else node
        if not isinstance(target, (ast.Attribute, ast.Subscript)):
            continue
        if isinstance(node, ast.Call) or not isinstance(target.ctx, ast.Load):
            while isinstance(target, (ast.Attribute, ast.Subscript)):
                target = target.value
            names.add(getattr(target, "id", ""))
    return reader.defines | names & (reader.reads | reader.uses)


def _read(statements: Iterable[ast.AST]) -> _Reader:
    reader, bound = _Reader(), set()  # type: ignore[var-annotated]
    reader.read(statements, bound)
    reader.call_later(bound)
    return reader


def _parse(source: str) -> ast.Module:
    """Return the tree of a cell, an empty one of another language; lines of magics are values."""
    text = source.lstrip()
    if _OTHER.match(text):
        return ast.parse("")
    magic = _PYTHON.match(text)
    if magic:
        text = text[magic.end() :]
        # `%%capture out` defines a name.
        words = [word for word in magic[2].split() if word.isidentifier()]
        text += "".join(f"\n{word} = 0" for word in words if magic[1] == "capture")
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.parse(_MAGIC.sub(_blank, _STATEMENT.sub(r"\1", text)))


def _blank(match: re.Match[str]) -> str:
    pairs = _EXPANDED.findall(match[3] or "")
    values = "".join(f"{expression or name}, " for expression, name in pairs)
    return f"{match[1]}{match[2] or ''}({values})"


class _Reader:
    """Goes through statements in their order, and notes which names they need and bind."""

    def __init__(self) -> None:
        self.reads: Set[str] = set()
        self.defines: Set[str] = set()
        #: Names that functions read, and those that they bind.
        self.uses: Set[str] = set()
        self.globals: Set[str] = set()
        #: What functions read that no statement can have called yet.
        self._later: Set[str] = set()

    def read(self, statements: Iterable[Any], bound: Set[str]) -> None:
        """Read a block; ``bound`` are the names that are bound for sure, to which it adds."""
        for node in statements:
            if not isinstance(node, _DEFINITIONS) or getattr(node, "decorator_list", None):
                self.call_later(bound)
            if isinstance(node, (ast.With, ast.AsyncWith)):
                for item in node.items:
                    self._read_leaf(_assign(item.optional_vars, item.context_expr), bound)
                is_whole = not re.search("suppress|raises", ast.dump(node.items[0]))
                self.read(node.body, bound if is_whole else set(bound))
            elif hasattr(node, "cases") or (hasattr(node, "body") and type(node) not in _FUNCTIONS):
                self._read_branches(node, bound)
            else:
                self._read_leaf(node, bound)

    def _read_branches(self, node: Any, bound: Set[str]) -> None:
        """Read a statement with blocks of which only some may run."""
        inner = set(bound)
        if isinstance(node, (ast.For, ast.AsyncFor)):
            self._read_leaf(_assign(node.target, node.iter), inner)
        else:
            for name in ("test", "subject"):
                self._read_leaf(_assign(None, getattr(node, name, None)), bound)
        ends = []
        for name in ("body", "orelse", "finalbody"):
            ends.append(set(inner))
            self.read(getattr(node, name, ()), ends[-1])
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            pattern = list(ast.walk(getattr(part, "pattern", ast.Pass())))
            names = {getattr(x, key, None) for x in [part, *pattern] for key in ("name", "rest")}
            own = {name for name in names if name}
            self.defines |= own
            for head in [*pattern, getattr(part, "type", None), getattr(part, "guard", None)]:
                if isinstance(head, ast.expr):
                    self._read_leaf(_assign(None, head), inner | own)
            self.read(part.body, inner | own)
        if isinstance(node, ast.If):
            bound |= ends[0] & ends[1]

    def _read_leaf(self, node: Any, bound: Set[str]) -> None:
        if isinstance(node, (ast.Break, ast.Continue)):
            return
        tree = ast.fix_missing_locations(ast.Module([node], []))
        self._read_code(compile(tree, "<cell>", "exec", _FLAGS, dont_inherit=True), bound)

    def _read_code(
        self, code: types.CodeType, bound: Set[str], is_later: bool = False, is_class: bool = False
    ) -> None:
        own: Set[str] = set()
        for kind, name in _name_instructions(code):
            if is_class and kind != "read":
                own.add(name)
            elif kind == "bind":
                self.defines.add(name)
                (self.globals if is_later else bound).add(name)
            elif name not in bound | own or kind == "delete":
                (self._later if is_later else self.reads).add(name)
                self.uses |= self._later
            if kind == "delete" and not is_class:
                self.defines.add(name)
                bound.discard(name)
        for inner in (x for x in code.co_consts if isinstance(x, types.CodeType)):
            is_body = not inner.co_flags & inspect.CO_OPTIMIZED
            now = not is_later and (is_body or inner.co_name in _AT_ONCE)
            # When a function is called, more may be bound, or less.
            self._read_code(inner, bound if now else set(), not now, is_body)

    def call_later(self, bound: Set[str]) -> None:
        """Note what the functions that are defined so far read, as one of them may be called."""
        self.reads |= self._later - bound
        self._later = set()


def _assign(target: Any, value: Any) -> ast.stmt:
    """Return a statement that evaluates a value and, where there is a target, binds it."""
    if value is None:
        return ast.Pass()
    return ast.Expr(value) if target is None else ast.Assign([target], value)


def _name_instructions(code: types.CodeType) -> Iterator[Tuple[str, str]]:
    """Yield what code does to names that are global, in its order, but not Python's own."""
    for instruction in dis.get_instructions(code):
        word, _, rest = instruction.opname.partition("_")
        name = str(instruction.argval)
        if rest.endswith(("NAME", "GLOBAL", "GLOBALS")) and not re.fullmatch(r"__\w+__", name):
            kind = {"LOAD": "read", "STORE": "bind", "DELETE": "delete"}.get(word)
            if kind:
                yield kind, name


def _touched(nodes: Sequence[ast.AST]) -> Set[str]:
    """Return the names whose objects may be changed: of which there is more than a look."""
    looks = {id(child) for node in nodes for child in _looks(node)}
    names = (node for node in nodes if isinstance(node, ast.Name) and id(node) not in looks)
    return {node.id for node in names}


def _looks(node: Any) -> Iterator[Any]:
    """Yield the nodes below one that it only looks at, where they are names."""
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    elif isinstance(node, ast.Compare):
        yield node.left
        if not any(isinstance(operator, (ast.In, ast.NotIn)) for operator in node.ops):
            yield from node.comparators
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in _LOOKS:
        yield from (node.func, *node.args)
    elif isinstance(node, ast.Attribute) and node.attr in _SHOWS:
        yield node.value
    elif isinstance(node, ast.Assign):
        if not any(isinstance(target, (ast.Tuple, ast.List)) for target in node.targets):
            yield node.value
    elif isinstance(node, (ast.Expr, ast.FormattedValue)):
        yield node.value
    elif isinstance(node, ast.Subscript):
        yield node.slice
    elif isinstance(node, (ast.List, ast.Tuple)):
        yield from node.elts


def _constants(tree: ast.Module, nodes: Sequence[ast.AST]) -> Iterator[Tuple[str, str]]:
    """Yield each name that stands for what calls do not change, and what this is.

    That is what is imported, and functions that have no state: defaults, attributes, decorators.
    """
    roots = {getattr(x.value, "id", "") for x in nodes if isinstance(x, ast.Attribute)}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
            has_state = node.decorator_list or not all(
                isinstance(x, ast.Constant) for x in defaults
            )
            if not has_state and node.name not in roots:
                yield node.name, ast.dump(node)
    for part in nodes:
        if isinstance(part, ast.Import):
            for alias in part.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname or top, alias.name if alias.asname else top)
        elif isinstance(part, ast.ImportFrom):
            for alias in part.names:
                module = "." * part.level + (part.module or "")
                yield alias.asname or alias.name, f"{module}:{alias.name}"
