"""What one shell leaves to the next: each command runs in a fresh one, and the kernel carries this.

Around the command stands a script. It first takes over the state (functions, aliases, variables,
options); however the shell then ends, a trap has it say its state, in a file of a folder that only
this user can read. What is said whole is carried; else all is as it was before the command.
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_letters
from typing import Callable, Collection, Dict, List, Optional, Set, Tuple

__all__ = ["KINDS", "Carried", "Kind", "Said"]

_NAMES = " ".join(f'"${{!{letter}@}}"' for letter in f"{ascii_letters}_")

#: Before a program that the scripts need: the user's PATH may lead nowhere.
_FIND = 'PATH="${PATH-}:/bin:/usr/bin"'

# The scripts are one line each, since a shell counts lines in its messages from there.
_SAID = (
    """{{ __cm_d=${{PWD-}}; [ "$__cm_d" -ef . ] || __cm_d=$(pwd -P);"""
    """ printf "%s\\0" "$__cm_s" "${{__cm_d:-$PWD}}"; {options}; printf "\\0"; {aliases};"""
    """ printf "\\0"; {functions}; printf "\\0"; {values}; printf "ENV\\0"; "$__cm_env" -0;"""
    """ printf "END\\0"; }} >| "$__cm_folder/$__cm_to" 2>/dev/null"""
)
_AROUND = (
    """__cm_folder=$1; __cm_env=$2; __cm_done=; __cm_said='{said}'; shift 2; {begin};"""
    """ __cm_s=0; __cm_to=before; [ -e "$__cm_folder/state" ] || eval "$__cm_said";"""
    """ trap '{{ __cm_s=$?; __cm_to=after; [ "$__cm_done" ] || eval "$__cm_said"; }} 2>/dev/null'"""
    """ EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; trap 'exit 129' HUP;"""
    """ [ ! -e "$__cm_folder/state" ] || . "$__cm_folder/state" 2>/dev/null;"""
    """ eval "$__cm_command";"""
    """ {{ __cm_s=$?; __cm_done=1; __cm_to=after; trap '' INT TERM HUP; eval "$__cm_said"; }}"""
    """ 2>/dev/null; exit "$__cm_s"\n"""
)
#: For a command that leaves nothing to the next one. What it is to do may hold secrets.
_ALONE = (
    """__cm_folder=$1; shift; {begin}; [ ! -e "$__cm_folder/state" ] ||"""
    """ . "$__cm_folder/state" 2>/dev/null; {find} rm -rf -- "$__cm_folder"; unset __cm_folder;"""
    """ eval "$__cm_command"\n"""
)


@dataclass(frozen=True)
class Kind:
    """A family of shells: how one is started, and how the variables that it says are read.

    ``script`` has a shell say its state at its end; ``alone`` only has it begin with one.
    """

    arguments: Tuple[str, ...]
    script: str
    alone: str
    variables: Callable[[List[str]], Dict[str, str]]


@dataclass(frozen=True)
class Said:
    """The state of a shell, each part as text that a shell reads."""

    status: int
    directory: str
    options: Tuple[str, ...]
    aliases: str
    functions: str
    variables: Dict[str, str] = field(default_factory=dict)
    environment: Dict[str, str] = field(default_factory=dict)


class Carried:
    """What is carried from one command to the next, for one kind of shell."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        #: How a shell is before its first command, and how the last one was.
        self._fresh: Optional[Said] = None
        self._last: Optional[Said] = None

    def prepare(self, folder: Path, command: str, environment: Collection[str]) -> None:
        """Lay out what a shell reads: its command, and the state that it begins with."""
        traced = "set -o xtrace; " if "set -o xtrace" in self._options() else ""
        blank = " " if command.startswith("-") else ""  # ``eval`` would take it for an option
        _write(folder / "command", f"{traced}{blank}{command}\n")
        if self._fresh is not None:
            _write(folder / "state", self._state(environment))

    def take(self, folder: Path) -> Optional[Said]:
        """Read what the shell has said at its end; None where it could not say it whole."""
        for name in ("command", "state"):
            _drop(folder / name)
        before, after = self._read(folder / "before"), self._read(folder / "after")
        self._fresh = self._fresh or before
        self._last = after or self._last
        return after

    @property
    def counts(self) -> Dict[str, int]:
        """How much of each kind differs from a fresh shell."""
        last = self._last
        return {
            "variable": len(self._variables(())),
            "function": len(re.findall(r"(?m)^\S+ \(\)", last.functions)) if last else 0,
            "alias": len(self._aliases()),
            "option": len(self._options()),
        }

    def _state(self, environment: Collection[str]) -> str:
        """As a script. Functions come before aliases, which would be expanded in them."""
        if self._last is None:
            return ""
        options = self._options()
        late = [one for one in options if one.startswith("set ") and "xtrace" not in one]
        early = [one for one in options if not one.startswith("set ")]
        variables = self._variables(environment).values()
        parts = [*early, self._last.functions, self._last.aliases, *variables, *late]
        return "\n".join(part for part in parts if part) + "\n"

    def _aliases(self) -> Set[str]:
        if self._last is None or self._fresh is None:
            return set()
        return {*self._last.aliases.splitlines()} - {*self._fresh.aliases.splitlines()}

    def _options(self) -> List[str]:
        if self._last is None or self._fresh is None:
            return []
        return [one for one in self._last.options if one not in self._fresh.options]

    def _variables(self, environment: Collection[str]) -> Dict[str, str]:
        """Those that a command has set; where the kernel's environment has one, that holds."""
        if self._last is None or self._fresh is None:
            return {}
        fresh = self._fresh.variables
        return {
            name: text
            for name, text in self._last.variables.items()
            if fresh.get(name) != text and name not in environment and not _OWN.match(name)
        }

    def _read(self, path: Path) -> Optional[Said]:
        """What a shell has said into a file, which is deleted."""
        try:
            said = path.read_bytes().decode("utf-8", "surrogateescape").split("\0")
        except FileNotFoundError:
            return None
        _drop(path)
        if said[-2:] != ["END", ""] or "ENV" not in said:
            return None
        status, directory, options, aliases, functions, *rest = said[:-2]
        at = rest.index("ENV")
        entries = [entry.partition("=") for entry in rest[at + 1 :]]
        return Said(
            int(status),
            directory,
            tuple(options.splitlines()),
            aliases,
            functions,
            self._kind.variables(rest[:at]),
            {name: value for name, _, value in entries},
        )


#: Variables that each shell sets for itself.
_OWN = re.compile(
    r"(__cm_\w+|BASH\w*|FUNCNAME|PIPESTATUS|EPOCH\w+|S?RANDOM|SECONDS|LINENO|GROUPS|DIRSTACK|"
    r"HISTCMD|OPTIND|COMP_\w+|E?UID|PPID|SHELLOPTS|SHLVL|O?L?D?PWD|_|IFS_OLD|"
    r"LOGCHECK|WATCHFMT|zle_\w+)$"
)
#: One variable as ``declare -p`` says it: what is quoted may hold ends of lines.
_DECLARED = re.compile(
    r"""declare -([-a-zA-Z]+) ([A-Za-z_]\w*)"""
    r"""(?:=(?:"(?:[^"\\]|\\.)*"|\$'(?:[^'\\]|\\.)*'|'[^']*'|\$(?!')|[^\n"'$])*)?\n""",
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
    *arguments: str, begin: str, variables: Callable[[List[str]], Dict[str, str]], **parts: str
) -> Kind:
    """A kind whose shells read the command as ``begin`` says, and say ``parts`` at their end."""
    around = _AROUND.format(said=_SAID.format(**parts), begin=begin)
    return Kind(arguments, around, _ALONE.format(begin=begin, find=_FIND), variables)


#: Kinds of shells by the names of their programs; the first one that is here is taken.
KINDS = {
    "bash": _kind(
        "--norc",
        "--noprofile",
        begin='shopt -s expand_aliases; IFS= read -r -d "" __cm_command < "$__cm_folder/command"',
        variables=_declared,
        options="shopt -po; shopt -p; umask -p; set +efuxv",
        aliases="alias -p",
        functions="declare -f",
        values=f'declare -p {_NAMES}; printf "\\0"',  # at once: each call would be a write
    ),
    "zsh": _kind(
        "-f",
        begin=f'__cm_command=$({_FIND} cat "$__cm_folder/command")',
        variables=_typeset,
        options=f'set +o | {_FIND} grep -v nohup; printf "umask "; umask; emulate zsh; set +euxv',
        aliases="alias -L",
        functions="typeset -f",
        values="for __cm_n in ${(k)parameters}; do"
        " case ${parameters[$__cm_n]} in *special*|*hide*) ;;"
        ' *) printf "%s\\0" "$__cm_n"; typeset -p "$__cm_n"; printf "\\0";; esac; done',
    ),
    "sh": _kind(
        begin=f'__cm_command=$({_FIND} cat "$__cm_folder/command")',
        variables=_assigned,
        options='set +o; printf "umask "; umask; set +efuxv',
        aliases='alias | while IFS= read -r __cm_n; do printf "alias %s\\n" "$__cm_n"; done',
        functions=":",  # it has no way to list them
        values='set; printf "\\0"',
    ),
}


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def _drop(path: Path) -> None:
    if path.exists():
        path.unlink()
