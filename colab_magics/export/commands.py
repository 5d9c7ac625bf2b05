"""The programs that do on another machine what a line does here, as words that no shell reads."""

from __future__ import annotations

import shlex
from typing import Iterator, List, Tuple

from .formats import Format
from .recipe import Apt, Clone, Directory, Download, Pins, Place, Variables

#: The words of a program; a `Place` among them is spelled as the machine needs it.
Command = Tuple[str, ...]

PIP = ("python3", "-m", "pip", "install", "--quiet")
_UV = ("python3", "-m", "uv", "pip", "install", "--quiet", "--python", "python3")
#: Options that only uv has, as it spells them.
_OF_UV = {"--as-of": "--exclude-newer", "--torch-backend": "--torch-backend"}
_CLONE = '[ -e "$2" ] || {{ git clone --quiet{} -- "$1" "$2"{}; }}'
_CHECKOUT = ' && git -C "$2" checkout --quiet --detach "$3"'
_DOWNLOAD = (
    '[ -e "$2" ] || {{ curl -fsSL --create-dirs -o "$2.part" --url "$1"{} && mv "$2.part" "$2"; }}'
)
_VERIFY = ' && printf "%s  %s\\n" "$3" "$2.part" | sha256sum -c --status -'
_HASHED = 'printf "%s\\n" "$@" | {} --requirement /dev/stdin'


class Programs(Format):
    """A format that runs programs: it says how in `run`."""

    has_groups = True
    options = Format.options | {*_OF_UV}

    def run(self, command: Command) -> None:
        """Add a program."""
        raise NotImplementedError

    def _add_pin(self, pins: Pins) -> None:
        super()._add_pin(pins)
        for command in install(self.pins[-1]):
            self.run(command)

    def _add_apt(self, item: Apt) -> None:
        self.run(("apt-get", "update"))
        self.run(("apt-get", "install", "--yes", "--no-install-recommends", *item.packages))

    def _add_clone(self, item: Clone) -> None:
        """Clone a repository where nothing is."""
        option = " --recurse-submodules" if item.submodules else ""
        script = _CLONE.format(option, _CHECKOUT if item.revision else "")
        words = (item.url, item.folder, *filter(None, [item.revision]))
        self.run(("sh", "-c", script, "sh", *words))

    def _add_fetch(self, item: Download) -> None:
        """Download a file where nothing is, and verify it before it is there."""
        script = _DOWNLOAD.format(_VERIFY if item.sha256 else "")
        self.run(("sh", "-c", script, "sh", item.url, item.path, *filter(None, [item.sha256])))

    def make_directory(self, item: Directory) -> None:
        """Make the directory, where the line says so."""
        if item.make:
            self.run(("mkdir", "-p", item.path))


def install(pins: Pins) -> Iterator[Command]:
    """Yield the commands that install what a line pins: by pip, or by uv for what only that can."""
    head: Command = PIP
    if any(option in _OF_UV for option, _ in pins.options):
        yield (*PIP, "uv")
        head = _UV
    if pins.hashed:
        script = _HASHED.format(" ".join(head))
        yield ("sh", "-c", script, "sh", *requirement_lines(pins))
        return
    folders = [word for folder in pins.folders for word in ("-e", folder)]
    yield (*head, *option_words(pins), *pins.requirements, *folders)


def option_words(pins: Pins) -> List[str]:
    """Return the options of a line as pip and uv take them on their command lines."""
    pairs = ((_OF_UV.get(name, name), value) for name, value in pins.options)
    return [f"{name}={value}" if value else name for name, value in pairs]


def requirement_lines(pins: Pins) -> List[str]:
    """Return the lines of a requirements file."""
    options = [word.replace("=", " ", 1) for word in option_words(pins)]
    return [*options, *pins.requirements, *(f"-e {folder}" for folder in pins.folders)]


# ---------------------------------------------------------------------- in a shell
def quote(word: str) -> str:
    """Return a word for ``sh``; a path below home is found where the script runs."""
    behind = word.below_home if isinstance(word, Place) else ""
    return f'"$HOME"{shlex.quote(behind)}' if behind else shlex.quote(word)


def shell_line(command: Command) -> str:
    """Return a command as a line for ``sh``."""
    return " ".join(map(quote, command))


def export_lines(item: Variables) -> Iterator[str]:
    """Yield the lines of ``sh`` that set variables, or put a folder into their lists."""
    for name, value in item.pairs:
        if not item.mode:
            yield f"export {name}={quote(value)}"
            continue
        is_fixed = value.below_home or value.startswith("/")
        folder = quote(value) if is_fixed else f'"$PWD"/{quote(value)}'
        old, colon = f'"${{{name}:-}}"', f'"${{{name}:+:}}"'
        parts = [folder, colon, old] if item.mode == "prepend" else [old, colon, folder]
        yield f"export {name}={''.join(parts)}"
