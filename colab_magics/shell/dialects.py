"""Kinds of shells: how each is started, and what it is told so that it says its state at its end.

Around a command stands a script. It first takes over the state (functions, aliases, variables,
options) of the shell before; however the shell then ends, a trap has it say its own.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Callable, Dict, List, Tuple

#: Before a program that the scripts need: the user's PATH may lead nowhere.
_FIND = 'PATH="${PATH-}:/bin:/usr/bin"'

#: Has a shell say its state, each part behind a zero byte. It stands in single quotes in `_AROUND`.
_STATE = """
{
# the directory; where PWD is stale, the real one
__cm_d=${PWD-}; [ "$__cm_d" -ef . ] || __cm_d=$(pwd -P);
printf "%s\\0" "$__cm_s" "${__cm_d:-$PWD}";
@options@; printf "\\0"; @aliases@; printf "\\0"; @functions@; printf "\\0"; @values@;
# the environment, where it has changed
if @same@; then printf "=SAME\\0"; else printf "=ENV\\0"; "$__cm_env" -0; fi;
printf "END\\0";
} >| "$__cm_folder/$__cm_to" 2>/dev/null
"""
#: Around a command: begins with the state of the shell before, and says its own however it ends.
_AROUND = """
__cm_folder=$1; __cm_env=$2; __cm_done=; __cm_said='@state@'; shift 2;
@begin@;
# of the first shell of all, how it is before its command
__cm_s=0; __cm_to=before; [ -e "$__cm_folder/state" ] || eval "$__cm_said";
@before@;
# where the command leaves the shell, by exit or by a signal
trap '{ __cm_s=$?; __cm_to=after; [ "$__cm_done" ] || eval "$__cm_said"; } 2>/dev/null' EXIT;
trap 'exit 130' INT; trap 'exit 143' TERM; trap 'exit 129' HUP;
[ ! -e "$__cm_folder/state" ] || . "$__cm_folder/state" 2>/dev/null;
eval "$__cm_command";
# where it comes to its end
{ __cm_s=$?; __cm_done=1; __cm_to=after; trap '' INT TERM HUP; eval "$__cm_said"; } 2>/dev/null;
exit "$__cm_s"
"""
#: For a command that leaves nothing to the next one. What it is to do may hold secrets.
_ALONE = """
__cm_folder=$1; shift;
@begin@;
[ ! -e "$__cm_folder/state" ] || . "$__cm_folder/state" 2>/dev/null;
@find@ rm -rf -- "$__cm_folder"; unset __cm_folder;
eval "$__cm_command"
"""


def _script(text: str, **parts: str) -> str:
    """Write a script as one line, for a shell counts lines in its messages; ``@name@`` is a part.

    Lines that begin with ``#`` are left out.
    """
    lines = (line for line in text.strip().splitlines() if not line.startswith("#"))
    script = " ".join(lines)
    for name, part in parts.items():
        script = script.replace(f"@{name}@", part)
    return script


@dataclass(frozen=True)
class Kind:
    """A family of shells: how one is started, and how the variables that it says are read.

    ``script`` has a shell say its state at its end; ``alone`` only has it begin with one.
    """

    arguments: Tuple[str, ...]
    script: str
    alone: str
    variables: Callable[[List[str]], Dict[str, str]]


#: One variable as ``declare -p`` says it: what is quoted may hold ends of lines.
_DECLARED = re.compile(
    r"""declare -([-a-zA-Z]+) ([A-Za-z_]\w*)"""
    r"""(?:=(?:"[^"\\]*(?:\\.[^"\\]*)*"|\$'[^'\\]*(?:\\.[^'\\]*)*'|'[^']*'|\$(?!')|[^\n"'$])*)?\n""",
    re.DOTALL,
)


def _declared(texts: List[str]) -> Dict[str, str]:
    """What ``declare -p`` says of all variables; exported ones travel in the environment."""
    return {
        found.group(2): found.group().rstrip("\n")
        for text in texts
        for found in _DECLARED.finditer(text)
        if "x" not in found.group(1) or set("aA") & set(found.group(1))
    }


def _typeset(texts: List[str]) -> Dict[str, str]:
    """What ``typeset -p`` says of each variable, each behind its name; exported ones travel."""
    return {
        name: text.rstrip("\n")
        for name, text in zip(texts[::2], texts[1::2])
        if not text.startswith("export ")
    }


def _assigned(texts: List[str]) -> Dict[str, str]:
    """What ``set`` says of all variables: ``NAME='value'``, one after another."""
    entries = [entry.partition("=") for text in texts for entry in shlex.split(text)]
    return {name: f"{name}={shlex.quote(value)}" for name, _, value in entries}


def _kind(
    *arguments: str,
    begin: str,
    variables: Callable[[List[str]], Dict[str, str]],
    before: str = ":",
    same: str = "false",
    **parts: str,
) -> Kind:
    """A kind whose shells read the command as ``begin`` says, and say ``parts`` at their end.

    ``same`` tells whether the environment is as it was when ``before`` was run: to have ``env`` say
    it costs as much as the rest of the script.
    """
    state = _script(_STATE, same=same, **parts)
    around = _script(_AROUND, state=state, begin=begin, before=before) + "\n"
    alone = _script(_ALONE, begin=begin, find=_FIND) + "\n"
    return Kind(arguments, around, alone, variables)


#: Has bash write what it gives to programs into a file.
_EXPORTS = """
{ { builtin export -p; builtin declare -fx; } >| "$__cm_folder/@to@"; } 2>/dev/null
"""
#: Whether that is as it was before; where a file cannot be written, all counts as changed.
_SAME = """
@exports@;
IFS= builtin read -r -d "" __cm_x < "$__cm_folder/exports";
IFS= builtin read -r -d "" __cm_y < "$__cm_folder/exports_after";
builtin [ -n "$__cm_x" ] && builtin [ "$__cm_x" = "$__cm_y" ] &&
# and no file that BASH_ENV names may have changed it before
builtin [ -z "${BASH_ENV-}" ]
"""

#: Kinds of shells by the names of their programs; the first one that is here is taken.
KINDS = {
    "bash": _kind(
        "--norc",
        "--noprofile",
        begin='shopt -s expand_aliases; IFS= read -r -d "" __cm_command < "$__cm_folder/command"',
        variables=_declared,
        options="shopt -po; shopt -p; umask -p; set +aefuxv",
        aliases="alias -p",
        functions="declare -f",
        values='declare -p; printf "\\0"',
        before=_script(_EXPORTS, to="exports"),
        same=_script(_SAME, exports=_script(_EXPORTS, to="exports_after")),
    ),
    "zsh": _kind(
        "-f",
        begin=f'__cm_command=$({_FIND} cat "$__cm_folder/command")',
        variables=_typeset,
        options=f'set +o | {_FIND} grep -v nohup; printf "umask "; umask; emulate zsh; set +aeuxv',
        aliases="alias -L",
        functions="typeset -f",
        values="for __cm_n in ${(k)parameters}; do"
        " case ${parameters[$__cm_n]} in *special*|*hide*) ;;"
        ' *) printf "%s\\0" "$__cm_n"; typeset -p "$__cm_n"; printf "\\0";; esac; done',
    ),
    "sh": _kind(
        begin=f'__cm_command=$({_FIND} cat "$__cm_folder/command")',
        variables=_assigned,
        options='set +o; printf "umask "; umask; set +aefuxv',
        aliases='alias | while IFS= read -r __cm_n; do printf "alias %s\\n" "$__cm_n"; done',
        functions=":",  # it has no way to list them
        values='set; printf "\\0"',
    ),
}
