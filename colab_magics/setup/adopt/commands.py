"""Commands of the shell, each with the function that reads it: one line adds a program."""

from __future__ import annotations

import re
from typing import Callable, Dict, List, Optional

from . import files, git, pip, system
from .shell import Command, NotUnderstood, name_list, put_values, quote, split
from .state import State


def _cd(command: Command, state: State) -> None:
    """Move the kernel; in a line of the shell the caller moves it back."""
    if len(command.words) > 2 or command.words[1:] == ["-"]:
        raise NotUnderstood("its folder is not known here")
    files.change("".join(command.words[1:]), state)


#: Program -> how it is read; another one only shows something, is safe to run twice, or stays.
PROGRAMS: Dict[str, Callable[[Command, State], None]] = {
    **dict.fromkeys(("pip", "pip3"), pip.pip),
    "uv": pip.uv,
    **dict.fromkeys(("conda", "mamba", "micromamba"), pip.conda),
    "git": git.git,
    "cd": _cd,
    "mkdir": files.mkdir,
    "rm": files.remove,
    "wget": files.wget,
    "curl": files.curl,
    "gdown": files.gdown,
    "kaggle": files.kaggle,
    "unzip": files.unzip,
    "tar": files.tar,
    **dict.fromkeys(("7z", "7za", "7zr"), files.seven_zip),
    **dict.fromkeys(("cp", "rsync"), files.copy),
    "ln": files.link,
    "mv": files.move,
    **dict.fromkeys(("apt", "apt-get", "aptitude"), system.apt),
    "export": system.export,
    "nvidia-smi": system.nvidia_smi,
}
_PYTHON = re.compile(r"python(3(\.\d+)?)?|\{sys\.executable\}")
#: The old way to install the project of a folder.
_SETUP = re.compile(r"(python3?|\{sys\.executable\}) setup\.py( -q)? (install|develop)( --user)?")
_PIP = re.compile(r"pip3(\.\d+)?")
#: Filters that only change what is shown.
_FILTERS = frozenset({*system.SHOWS, "tee", "sed"})


def read_line(text: str, state: State) -> None:
    """Read the commands of a ``!`` line, whose ``cd`` ends with it; `NotUnderstood` where none."""
    commands = split(put_values(text, state.variables))
    read_apart(commands, state)
    if all(command.program == "cd" for command in commands):
        state.drop("cd in a ! line ends with that line")


def read_apart(commands: List[Command], state: State) -> None:
    """Read commands whose ``cd`` does not move the kernel."""
    before, first = (state.cwd, state.final, state.settled), len(state.drafts)
    state.set(state, "settled", False)
    read_commands(commands, state)
    for name, value in zip(("cwd", "final", "settled"), before):
        state.set(state, name, value)
    state.drafts[first:] = [draft for draft in state.drafts[first:] if draft.word != "cd"]


def read_commands(commands: List[Command], state: State) -> None:
    """Read commands in their order."""
    last: Optional[Command] = None
    if not commands:
        raise NotUnderstood("it has no command")
    for at, command in enumerate(commands):
        behind = commands[at + 1] if at + 1 < len(commands) else None
        if command.joined == "&":
            raise NotUnderstood("it goes on behind the line")
        if command.joined == "||":
            _read_otherwise(command, state)
        elif command.joined == "|" and last is not None and last.program != "yes":
            _pipe(last, command)
        else:
            if behind is not None and behind.joined == "|" and behind.program == "apt-key":
                _add_key(command, behind, state)
            elif command.program != "yes":
                read_command(command, state)
            last = command


def _read_otherwise(command: Command, state: State) -> None:
    """Read what is done where the command before fails: it may only repeat that."""
    before = len(state.drafts)
    read_command(command, state)
    if any(draft.kind != "dropped" for draft in state.drafts[before:]):
        raise NotUnderstood("it depends on what fails")


def _add_key(command: Command, behind: Command, state: State) -> None:
    """Add ``curl URL | apt-key add -`` as it is: the same key is added on each run."""
    is_plain = command.program in ("curl", "wget") and not command.output
    if not is_plain or behind.words[1:] != ["add", "-"]:
        raise NotUnderstood("it changes the keys of apt")
    words = [*map(quote, command.words), f"| {behind.sudo}apt-key add -"]
    state.add_line("!" + " ".join(words))


def _pipe(last: Command, command: Command) -> None:
    is_key = command.program == "apt-key" and last.program in ("curl", "wget")
    is_filter = command.program in _FILTERS or is_key
    if not is_filter or (command.program == "tee" and len(command.words) > 1):
        raise NotUnderstood(f"{command.program} reads what it prints")


def read_command(command: Command, state: State) -> None:
    """Read one command."""
    if _PYTHON.fullmatch(command.program) and command.words[1:2] == ["-m"]:
        command.words = command.words[2:]
        if command.program not in name_list("pip gdown wget"):
            raise NotUnderstood("it runs a program of yours")
    elif _SETUP.fullmatch(" ".join(command.words)):
        command.words = ["pip", "install", "."]
    name = "pip" if _PIP.fullmatch(command.program) else command.program
    PROGRAMS.get(name, system.read_other)(command, state)
    if any(target != "/dev/null" for target in command.output):
        raise NotUnderstood("it writes a file")
