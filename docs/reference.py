"""Pages that are made from the package: its magics, its command, its errors.

`docs/mkdocs_hooks.py` puts them into the site when it is built, so that none is in the repository.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import re
import textwrap
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Set, Tuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "colab_magics"
#: The page that tells how to use a magic, where it has not the name of the magic.
GUIDES = {
    "cd_persist": "folders.md",
    "env_persist": "folders.md",
    "jobs": "shell-and-jobs.md",
    "secret": "secrets.md",
    "session": "sessions.md",
    "setup": "setup-cell.md",
    "shell": "shell-and-jobs.md",
}


def make_pages() -> Dict[str, str]:
    """Return path → text of each page, from the folder of the documents."""
    from colab_magics.extension.registration import MAGICS

    names = [name for name, target in MAGICS.items() if target.startswith("colab_magics.")]
    pages = {f"reference/{name}.md": describe_magic(name) for name in names}
    return {
        **dict(sorted(pages.items())),
        "reference/command.md": describe_command(),
        "reference/errors.md": list_errors(),
    }


# ---------------------------------------------------------------------- magics and the command
#: A heading and a block of code, as a docstring has them.
_TITLE = re.compile(r"(?m)^(\w.*)\n-{3,}\n")
_BLOCK = re.compile(r"(?m)(^|:)::?\n\n((?: +.*\n|\n)+)")


def describe_magic(name: str) -> str:
    """Return the page of a magic: what ``%name?`` shows."""
    from colab_magics.core.registry import load
    from colab_magics.extension.registration import MAGICS

    magic = load(MAGICS[name])
    about = inspect.cleandoc(magic.__doc__).replace("``", "`") + "\n"
    about = _TITLE.sub(r"## \1\n\n", about)
    about = _BLOCK.sub(lambda x: f"{x[1]}```text\n{textwrap.dedent(x[2]).strip()}\n```\n\n", about)
    guide = GUIDES.get(name, f"{name}.md")
    parts = [f"# `%{name}`", f"[How to use it](../{guide})", about.strip()]
    parts += ["## Usage"]
    tree = magic.parser()
    names = sorted(_names(tree), key=len, reverse=True)
    for block in tree.format_tree().split("\n\n"):
        title = next(name for name in names if block.lstrip("%").startswith(name[1:]))
        title = "%" * block.startswith("%%") + title
        parts.append(f"### `{title}`\n\n```text\n{block}\n```")
    return "\n\n".join(parts) + "\n"


def _names(tree: argparse.ArgumentParser) -> Iterator[str]:
    yield tree.prog
    for command in getattr(tree, "commands", {}).values():
        yield from _names(command)


def describe_command() -> str:
    """Return the page of ``colab-magics``: the help of each of its commands."""
    from colab_magics.__main__ import _parser

    os.environ["COLUMNS"] = "88"  # argparse asks the terminal otherwise
    parts = ["# `colab-magics`", "[How to use it](../command-line.md)"]
    for parser in _walk(_parser()):
        parts.append(f"## `{parser.prog}`\n\n```text\n{parser.format_help().rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def _walk(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    parser.color = False  # type: ignore[attr-defined] # of Python 3.14
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _walk(command)


# ---------------------------------------------------------------------- errors
class Case(NamedTuple):
    """A code, and what is shown with it; ``…`` stands for what varies."""

    code: str
    message: str
    hint: str
    made_by: str = ""


_CODE = re.compile(r"[a-z]+\d?(-[a-z\d]+)*")
#: Where the code of an error is not written in its call, but in a table of the module.
_COMPUTED = re.compile(r'code=(?!"|True|error\.)[a-z_]')
_ERRORS_PAGE = """\
# Errors by code

An error says in one line what is wrong, and in one what to do. It has a `code` too, for programs:
it is in the objects of [`--json`](../command-line.md#json), and in Python it is `error.code`. It
stays the same when a message is improved.

This list is read from the code of the package. `…` stands for what varies.

| code | what is wrong | what to do |
|---|---|---|
"""


def list_errors() -> str:
    """Return the page of all codes."""
    rows = ["| `{}` | {} | {} |".format(*map(_escape, case[:3])) for case in sorted(read_cases())]
    return _ERRORS_PAGE + "\n".join(dict.fromkeys(rows)) + "\n"


def _escape(text: str) -> str:
    """Return a text for a cell of a table, in which nothing is markup."""
    plain = " ".join(re.sub(r"\{[^}]*\}", "…", text).split())
    return re.sub(r"([|<>*_\[\]`\\])", r"\\\1", "" if plain.strip("…. :") == "" else plain)


#: Name → the lines on which it is set, and to what: what counts is the last before a line.
Names = Mapping[str, List[Tuple[int, ast.expr]]]


def read_cases() -> Set[Case]:
    """Return the cases that the package can raise; a code has one for each of its messages."""
    cases: Set[Case] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        tree, has_table = ast.parse(text), bool(_COMPUTED.search(text))
        cases.update(_walk_code(tree, _assigned(tree), has_table))
    explained = {case.code for case in cases if _escape(case.message)}
    others = {case for case in cases if case.code not in explained}
    return {case for case in cases if _escape(case.message)} | {
        case._replace(message=_describe_class(case.made_by)) for case in others
    }


def _walk_code(node: ast.AST, names: Names, has_table: bool) -> Iterator[Case]:
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):
        names = {**names, **_assigned(node)}
    yield from _cases_of(node, names)
    if has_table:
        yield from _rows_of(node, names)
    for child in ast.iter_child_nodes(node):
        yield from _walk_code(child, names, has_table)


def _assigned(scope: ast.AST) -> Names:
    """Return what is assigned in a function; of a module what is outside of its functions."""
    values: Dict[str, List[Tuple[int, ast.expr]]] = {}
    ahead = list(ast.iter_child_nodes(scope))
    while ahead:
        node = ahead.pop(0)
        if not isinstance(node, (ast.FunctionDef, ast.Lambda)):
            ahead = [*ast.iter_child_nodes(node), *ahead]
        for target in node.targets if isinstance(node, ast.Assign) else ():
            names, parts = [target], [node.value]
            if isinstance(target, ast.Tuple):
                names, parts = target.elts, [ast.Constant("{…}")] * len(target.elts)
                if isinstance(node.value, ast.Tuple):
                    parts = node.value.elts
            for name, value in zip(names, parts):
                if isinstance(name, ast.Name):
                    values.setdefault(name.id, []).append((node.lineno, value))
    return values


def _resolve(node: ast.expr, names: Names) -> ast.expr:
    """Return what a name stands for where it is read, or the name."""
    if isinstance(node, ast.Name):
        before = [value for line, value in names.get(node.id, ()) if line <= node.lineno]
        return before[-1] if before else node
    return node


def _cases_of(node: ast.AST, names: Names) -> Iterator[Case]:
    """Yield the cases of a call that makes an error, or of a class of errors."""
    if isinstance(node, ast.Call):
        words = {word.arg: word.value for word in node.keywords}
        texts = [_text(value, names) for value in node.args[:2]] + ["", ""]
        if "code" in words:
            hint = _text(words["hint"], names) if "hint" in words else texts[1]
            for code in _codes(words["code"], names):
                yield Case(code, texts[0], hint, ast.unparse(node.func))
    elif isinstance(node, ast.ClassDef):
        for item in node.body:
            if isinstance(item, ast.Assign) and ast.unparse(item.targets[0]) == "code":
                about = (ast.get_docstring(node) or "").split("\n")[0]
                yield from (Case(code, about, "") for code in _codes(item.value, names))


def _describe_class(name: str) -> str:
    """Return what a class of errors is for, where the message of one is not written in the code."""
    from colab_magics.core import errors

    kind = getattr(errors, name, errors.ColabMagicsError)
    about = inspect.getdoc(kind) or ""
    general = kind in (errors.ColabMagicsError, errors.usage_error)
    first = about.split("\n")[0].replace("``", "")
    return "What the system says, or another program." if general else first


def _rows_of(node: ast.AST, names: Names) -> Iterator[Case]:
    """Yield the cases of a table, of a row of it, or of a call of a function of the module."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_"):
        yield from _row(node.args, names)
    elif isinstance(node, ast.Tuple):
        yield from _row(node.elts, names)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values):
            if isinstance(key, ast.Attribute):
                key = (names.get(key.attr) or [(0, None)])[-1][1]
            texts_of = value.elts if isinstance(value, ast.Tuple) else [value]
            yield from _row([key, *texts_of] if key else [], names)


def _row(items: List[ast.expr], names: Names) -> Iterator[Case]:
    """Yield the case of a row: its code, perhaps a pattern, the message and the hint."""
    texts = [_text(item, names) for item in items]
    if len(texts) == 2 and texts[1].count("\n") == 1:
        texts = [texts[0], *texts[1].split("\n")]
    is_code = len(texts) > 2 and isinstance(items[0], ast.Constant) and _CODE.fullmatch(texts[0])
    if is_code and " " in texts[-2] and re.search(r"[ {]", texts[-1]):
        yield Case(texts[0], *texts[-2:])


def _codes(node: ast.expr, names: Names) -> List[str]:
    """Return the codes that an expression can be; none where it is another error's."""
    values = [node]
    if isinstance(node, ast.Name):
        values = [value for line, value in names.get(node.id, ()) if line <= node.lineno]
    elif isinstance(node, ast.IfExp):
        values = [node.body, node.orelse]
    elif isinstance(node, ast.BoolOp):
        values = node.values
    if values != [node]:
        return [code for value in values for code in _codes(value, {})]
    text = _text(node, {})
    return [text] if _CODE.fullmatch(text.replace("-{…}", "")) else []


def _text(node: ast.expr, names: Names) -> str:
    """Return a text as it is written, with ``{…}`` for what is computed."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else "" if node.value else "{…}"
    if isinstance(node, ast.JoinedStr):
        return "".join(x.value if isinstance(x, ast.Constant) else "{…}" for x in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left, names) + _text(node.right, names)
    value = _resolve(node, names)
    return "{…}" if value is node else _text(value, {})
