"""What one shell leaves to the next: each command runs in a fresh one, and the kernel carries this.

What a shell says at its end (see `kinds`) in a file of a folder that only this user can read is
carried where it is whole; else all is as it was before the command.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Collection, Dict, List, Mapping, Optional, Set, Tuple

from .dialects import Kind


@dataclass(frozen=True)
class Said:
    """The state of a shell, each part as text that a shell reads."""

    status: int
    directory: str
    options: Tuple[str, ...]
    aliases: str
    functions: str
    variables: Dict[str, str]
    #: None where it is as the shell had it when it began.
    environment: Optional[Dict[str, str]]


class Carried:
    """What is carried from one command to the next, for one kind of shell."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        #: How a shell is before its first command, and how the last one was.
        self._fresh: Optional[Said] = None
        self._last: Optional[Said] = None

    def parts(self, command: str, environment: Collection[str]) -> Dict[str, bytes]:
        """What a shell reads, by names of files: its command, the state that it begins with."""
        traced = "set -o xtrace; " if "set -o xtrace" in self._options() else ""
        blank = " " if command.startswith("-") else ""  # ``eval`` would take it for an option
        texts = {"command": f"{traced}{blank}{command}\n"}
        if self._fresh is not None:
            texts["state"] = self._state(environment)
        return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}

    def take(self, folder: Path) -> Optional[Said]:
        """Read what the shell has said at its end; None where it could not say it whole."""
        for name in ("command", "state", "exports", "exports_after"):
            (folder / name).unlink(missing_ok=True)
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
        path.unlink(missing_ok=True)
        at = next((at for at, part in enumerate(said) if part in ("=ENV", "=SAME")), 0)
        if said[-2:] != ["END", ""] or not at:
            return None
        status, directory, options, aliases, functions, *variables = said[:at]
        entries = [entry.partition("=") for entry in said[at + 1 : -2]]
        return Said(
            int(status),
            directory,
            tuple(options.splitlines()),
            aliases,
            functions,
            self._kind.variables(variables),
            {name: value for name, _, value in entries} if said[at] == "=ENV" else None,
        )


#: Variables that each shell sets for itself.
_OWN = re.compile(
    r"(__cm_\w+|BASH\w*|FUNCNAME|PIPESTATUS|EPOCH\w+|S?RANDOM|SECONDS|LINENO|GROUPS|DIRSTACK|"
    r"HISTCMD|OPTIND|COMP_\w+|E?UID|PPID|SHELLOPTS|SHLVL|O?L?D?PWD|_|IFS_OLD|"
    r"LOGCHECK|WATCHFMT|zle_\w+)$"
)


def lay(folder: Path, parts: Mapping[str, bytes]) -> None:
    """Lay out what a shell reads, all of it or none: they may hold secrets."""
    try:
        for name, data in parts.items():
            (folder / name).write_bytes(data)
    except BaseException:
        for name in parts:
            (folder / name).unlink(missing_ok=True)
        raise
