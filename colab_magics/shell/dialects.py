"""The shells that can carry their state on: how each is started, and how it writes its state.

Around a command is a script. It first takes over the state (functions, aliases, variables, options)
of the shell before; however the shell then ends, a trap has it write its own.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Tuple

#: Before a program that the scripts need: the user's PATH may lead nowhere.
_FIND = 'PATH="${PATH-}:/bin:/usr/bin"'
#: Has bash write what it gives to programs into a file.
_EXPORTS = '{ { builtin export -p; builtin declare -fx; } >| "$__cm_folder/%s"; } 2>/dev/null'


@dataclass(frozen=True)
class Dialect:
    """A shell: its arguments, its scripts, and how the variables that it writes are read.

    ``around`` has a shell write its state at its end; ``alone`` only has it begin with one.
    """

    arguments: Tuple[str, ...]
    around: str
    alone: str
    variables: Callable[[List[str]], Dict[str, str]]


def _read_script(name: str, **parts: str) -> str:
    """Return a script beside this file as one line, for a shell counts lines in its messages.

    ``@name@`` in it is a part; lines that begin with ``#`` are left out.
    """
    lines = Path(__file__).with_name(f"{name}.sh").read_text("ascii").splitlines()
    script = " ".join(line for line in lines if not line.startswith("#"))
    for part, text in parts.items():
        script = script.replace(f"@{part}@", text)
    return script


def _make_dialect(
    *arguments: str,
    begin: str,
    variables: Callable[[List[str]], Dict[str, str]],
    before: str = ":",
    same: str = "false",
    **parts: str,
) -> Dialect:
    """Return a dialect whose shells read the command by ``begin``, and write ``parts`` at the end.

    ``same`` tests whether the environment is as it was after ``before``: to write it by ``env``
    costs as much as the rest of the script.
    """
    state = _read_script("state", same=same, **parts)
    around = _read_script("around", state=state, begin=begin, before=before) + "\n"
    return Dialect(arguments, around, _read_script("alone", begin=begin) + "\n", variables)


#: One variable as ``declare -p`` writes it: a quoted value may hold line ends.
_DECLARED = re.compile(
    r"""declare -([-a-zA-Z]+) ([A-Za-z_]\w*)"""
    r"""(?:=(?:"[^"\\]*(?:\\.[^"\\]*)*"|\$'[^'\\]*(?:\\.[^'\\]*)*'|'[^']*'|\$(?!')|[^\n"'$])*)?\n""",
    re.DOTALL,
)


def _parse_declare(texts: List[str]) -> Dict[str, str]:
    """Return the variables of ``declare -p``; exported ones are in the environment."""
    return {
        declared.group(2): declared.group().rstrip("\n")
        for text in texts
        for declared in _DECLARED.finditer(text)
        if "x" not in declared.group(1) or set("aA") & set(declared.group(1))
    }


def _parse_typeset(texts: List[str]) -> Dict[str, str]:
    """Return the variables of ``typeset -p``, each text behind its name, as for bash."""
    return {
        name: text.rstrip("\n")
        for name, text in zip(texts[::2], texts[1::2])
        if not text.startswith("export ")
    }


def _parse_set(texts: List[str]) -> Dict[str, str]:
    """Return the variables of ``set``: ``NAME='value'``, one after another."""
    entries = [entry.partition("=") for text in texts for entry in shlex.split(text)]
    return {name: f"{name}={shlex.quote(value)}" for name, _, value in entries}


#: The shells by the names of their programs; by default the first that is installed.
DIALECTS = {
    "bash": _make_dialect(
        "--norc",
        "--noprofile",
        begin='shopt -s expand_aliases; IFS= read -r -d "" __cm_command < "$__cm_folder/command"',
        variables=_parse_declare,
        options="shopt -po; shopt -p; umask -p; set +aefuxv",
        aliases="alias -p",
        functions="declare -f",
        values='declare -p; printf "\\0"',
        before=_EXPORTS % "exports",
        same=_read_script("same", exports=_EXPORTS % "exports_after"),
    ),
    "zsh": _make_dialect(
        "-f",
        begin=f'__cm_command=$({_FIND} cat "$__cm_folder/command")',
        variables=_parse_typeset,
        options=f'set +o | {_FIND} grep -v nohup; printf "umask "; umask; emulate zsh; set +aeuxv',
        aliases="alias -L",
        functions="typeset -f",
        values="for __cm_n in ${(k)parameters}; do"
        " case ${parameters[$__cm_n]} in *special*|*hide*) ;;"
        ' *) printf "%s\\0" "$__cm_n"; typeset -p "$__cm_n"; printf "\\0";; esac; done',
    ),
    "sh": _make_dialect(
        begin=f'__cm_command=$({_FIND} cat "$__cm_folder/command")',
        variables=_parse_set,
        options='set +o; printf "umask "; umask; set +aefuxv',
        aliases='alias | while IFS= read -r __cm_n; do printf "alias %s\\n" "$__cm_n"; done',
        functions=":",  # it has no way to list them
        values='set; printf "\\0"',
    ),
}
