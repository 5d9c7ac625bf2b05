"""Packages of the system, the environment, the GPU, and what only shows something."""

from __future__ import annotations

import re
from typing import Sequence

from ...core.secret_scan import looks_secret
from .options import options
from .shell import Command, NotUnderstood, name_list, quote
from .state import SECRET_MARK, State

#: Programs that change nothing.
SHOWS = frozenset(
    name_list("""
    ls pwd cat head tail df du free nproc lscpu uname whoami hostname date which whereis tree wc
    grep file stat printenv id lsb_release nvcc ps top uptime less more sort uniq echo printf
    true false : lspci lsblk type awk cut tr
    """)
)
_SHOWS = re.compile(r"(env|ldconfig|\S*python[\d.]*(\}|) (--version|-V)|ssh -T git@\S+)")
_SHOWS_ALTERNATIVES = re.compile(r"update-alternatives --(display|list|query) \S+")
#: Commands that are the same on each run, so that they may stay as they are.
_SAFE = re.compile(
    r"chmod (-R )?[\w+=,-]+ [^*?$[{]+|update-alternatives --(install|set) .+|"
    r"add-apt-repository (-y|--yes) \S+|echo [^`$]+"
)
_LISTS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
_NAME = re.compile(r"[A-Za-z_]\w*")


def read_other(command: Command, state: State) -> None:
    """Read a command that is no step: it only shows something, or is safe to run twice."""
    text = " ".join(command.words)
    if _SAFE.fullmatch(text) and (command.program != "echo" or command.output):
        _add_unchanged(command, state)
    elif command.program in SHOWS or _SHOWS.fullmatch(text) or _SHOWS_ALTERNATIVES.fullmatch(text):
        state.drop("it only shows something")
    elif re.match("update-alternatives --config", text):
        state.drop("it asks a person, which hangs where nobody is")
    elif re.match(r"(\S*/)?python|\{sys", text):
        raise NotUnderstood("it runs a program of yours")
    else:
        raise NotUnderstood(f"{command.program} is no program that a step stands for")


def _add_unchanged(command: Command, state: State) -> None:
    """Add a command as it is; with a setting of the system that it writes, the same each time."""
    words = [*map(quote, command.words)]
    targets = [path for path in command.output if path != "/dev/null"]
    for path in targets:
        if len(targets) > 1 or command.appends or not state.place(path).startswith("/etc/"):
            raise NotUnderstood("it writes a file")
        words += [">", quote(path)]
    command.output = []
    paths = command.words[2:] if command.program == "chmod" else []
    state.add_line(f"!{command.sudo}{' '.join(words)}", *paths)


def nvidia_smi(command: Command, state: State) -> None:
    """Have the GPU shown by a step."""
    if {"-pm", "-pl", "-r", "--gpu-reset", "-mig", "-l"} & {*command.words}:
        raise NotUnderstood("it changes the GPU, or does not end")
    state.add("gpu", [])


def apt(command: Command, state: State) -> None:
    """Read ``apt-get install`` and ``update``."""
    command.refuse_variables("DEBIAN_FRONTEND")
    verb, *packages = options(command, 1).rest
    if verb in ("update", "list", "search", "show", "autoclean", "clean"):
        state.drop("%apt updates the lists where it has to")
        return
    if verb != "install" or not packages or any("/" in name for name in packages):
        raise NotUnderstood("it is no installation of packages")
    # apt takes a dot behind a name as a pattern.
    state.add("apt", [name.rstrip(".") for name in packages])


def export(command: Command, state: State) -> None:
    """Have the variables of ``export NAME=VALUE`` set by a step."""
    for word in command.words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            raise NotUnderstood("it exports a variable of the shell")
        set_variable(name, value, state, "export in a ! line had set it for that line alone")


def set_variable(name: str, value: str, state: State, why: str = "") -> None:
    """Add the step that sets a variable, or that gets the secret which it is."""
    secret = SECRET_MARK.fullmatch(value)
    state.forget_variables({name})
    if not _NAME.fullmatch(name):
        raise NotUnderstood("it is no name of a variable")
    if secret and secret[1] != name:
        raise NotUnderstood(f"the variable has another name than its secret, {secret[1]}")
    if secret or looks_secret(name, value):
        state.add("secret", [name], f"its value stays out: %secret set {name} stores it")
        return
    parts = re.fullmatch(rf"(?:(.+):)?\$\{{?{name}\}}?(?::(.+))?", value)
    if parts and name in _LISTS and bool(parts[1]) != bool(parts[2]):
        add_folder(name, parts[1] or parts[2], "--prepend" if parts[1] else "--append", state)
        return
    if "$" in value or SECRET_MARK.search(value):
        raise NotUnderstood("its value depends on another variable")
    state.add("env_persist", [f"{name}={value}"], why)
    state.set(state.variables, name, value)


def add_folder(name: str, folders: str, mode: str, state: State, why: str = "") -> None:
    """Add the steps that put folders into a list of folders."""
    parts: Sequence[str] = [part for part in folders.split(":") if part]
    if not parts or any("$" in part or SECRET_MARK.search(part) for part in parts):
        raise NotUnderstood("its value depends on another variable")
    for part in reversed(parts) if mode == "--prepend" else parts:
        state.add("env_persist", [mode, f"{name}={state.place(part)}"], why)
