"""``!cd somewhere``: its shell goes there and ends; said once for each kernel."""

from __future__ import annotations

import ast
import os
import re
import shlex
from pathlib import Path
from typing import Any, Iterator, List, Optional

from ..core.arguments import quote, split_comment
from ..extension.hooks import Hook

#: Set to ``off``, it says nothing; ``%env_persist`` keeps that in a notebook.
OFF = "COLAB_MAGICS_CD_NOTICE"

#: Magics that run the line behind them.
_AROUND = {"time", "timeit", "prun", "capture"}
#: Stands for a variable that nobody has set.
_UNKNOWN = "\0"
_NAME = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def lost(shell: Any, source: str, before: Optional[int] = None) -> Optional[str]:
    """Where a cell wanted to go by ``!cd``, above the line of that number; asking runs nothing."""
    if "!" not in source or "cd" not in source:
        return None
    try:
        tree = ast.parse(shell.transform_cell(source))
    except (SyntaxError, ValueError):
        return None
    for call in _calls(tree):
        if before is None or call.lineno < before:
            wanted = _wanted(_command(call))
            if wanted is not None:
                return wanted
    return None


class LostCd(Hook):
    """Says that a ``!cd`` does not last, and what does, unless the kernel is there otherwise."""

    def cell_recorded(self, result: Any) -> None:
        """Look at what the cell wanted, which runs nothing."""
        shell, host = self.session.host.shell, self.session.host
        if "!" not in self.session.source or result.error_before_exec is not None:
            return
        wanted = lost(shell, self.session.source, _failed_at(shell, result.error_in_exec))
        if wanted is None or os.environ.get(OFF, "").lower() in {"off", "0", "no", "false"}:
            return
        place = _NAME.sub(lambda found: _known(found, shell.user_ns), wanted)
        if host.cwd is None or place == "-" or set(place) & {*"*?`(", _UNKNOWN}:
            return
        if self.session.site.kind == "executor":
            return
        if not set(place) & set("${"):  # else it is Python's, and so it is behind %cd_persist
            path = Path(os.path.normpath(host.cwd / Path(place).expanduser()))
            if not path.is_dir() or path == host.cwd:
                return
            place = host.spell(path)
        typed = f"!cd {quote(wanted)}" if wanted != "~" else "!cd"
        self.session.notices.once(
            f"{typed} ended with its line. To stay there: %cd_persist {quote(place)}", key="!cd"
        )


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls of a cell, in their order, without those in functions, which did not run yet."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from _calls(node)


def _command(call: ast.Call) -> str:
    """The command of a line that begins with ``!``, as IPython rewrites it; of others, nothing."""
    given = [one.value for one in call.args if isinstance(one, ast.Constant)]
    name = getattr(call.func, "attr", "")
    if name == "system" and len(given) == 1:
        return str(given[0])
    if name == "run_line_magic" and len(given) > 1 and given[0] in _AROUND:
        line = str(given[1]).lstrip()
        return line[1:] if line.startswith("!") and not line.startswith("!!") else ""
    return ""


def _wanted(command: str) -> Optional[str]:
    """Where a command goes in the end, and does nothing there; None: it does, or goes nowhere."""
    lexer = shlex.shlex(split_comment(command)[0], posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    parts: List[List[str]] = [[]]
    try:
        for word in lexer:
            if word in (";", "&&"):
                parts.append([])
            elif set(word) <= set("();<>|&"):
                return None
            else:
                parts[-1].append(word)
    except ValueError:  # a quote is not closed
        return None
    while parts and parts[-1] in ([], ["pwd"]):
        parts.pop()
    if not parts or parts[-1][:1] != ["cd"]:
        return None
    place = ""
    for words in parts:
        if words[:1] == ["cd"]:
            place = _from(place, words)
    return place


def _from(place: str, words: List[str]) -> str:
    """Where a ``cd`` goes from a place, as it is spelled."""
    to = next((word for word in words[1:] if word == "-" or word[:1] != "-"), "~")
    return to if not place or to[:1] in "~$-/" else f"{place}/{to}"


def _known(found: re.Match[str], names: Any) -> str:
    """A variable of the environment by its value; one of Python's is IPython's to expand."""
    name = found[1] or found[2]
    return found[0] if name in names else os.environ.get(name, _UNKNOWN)


def _failed_at(shell: Any, error: Optional[BaseException]) -> Optional[int]:
    """The line of the cell that failed, if one did."""
    trace = error.__traceback__ if error is not None else None
    while trace is not None and trace.tb_frame.f_globals is not shell.user_ns:
        trace = trace.tb_next
    return trace.tb_lineno if trace is not None else None
