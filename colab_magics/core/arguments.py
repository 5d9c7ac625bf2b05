"""The one dialect in which every magic reads its line.

Quotes are honoured; ``#`` after white space and outside quotes starts a comment, so that
``git+https://host/x#egg=y`` is not cut; backslashes are literal on Windows.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import re
import shlex
import textwrap
from contextlib import contextmanager
from itertools import chain
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
)

from .errors import Slip, input_errors, set_hint, usage_error
from .host import Host

#: Characters of a line of the help, and of the column of options.
_WIDTH, _NAMES = 88, 26

#: Flags that every magic takes; they say how to run a line, not what it means.
FLAGS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "-o": "output",
    "--output": "output",
    "--no-record": "no_record",
    "--dry-run": "dry_run",
    "--restart": "restart",
    "--keep-going": "keep_going",
    "--no-lock": "no_lock",
    "-h": "help",
    "--help": "help",
}


class Split(NamedTuple):
    """A line taken apart: its words, the common flags among them, and its trailing comment."""

    words: List[str]
    flags: Tuple[str, ...]
    comment: str


def split_comment(line: str) -> Tuple[str, str]:
    """Return the code of a line and its trailing comment, with the white space before it."""
    quote_open = ""
    for at, char in enumerate(line):
        if quote_open:
            quote_open = "" if char == quote_open else quote_open
        elif char in "'\"":
            quote_open = char
        elif char == "#" and (at == 0 or line[at - 1].isspace()):
            code = line[:at].rstrip()
            return code, line[len(code) :]
    return line.rstrip(), ""


def split(line: str) -> Split:
    """Return words, flags and comment of a magic's line."""
    code, comment = split_comment(line)
    lexer = shlex.shlex(code, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if os.name == "nt":
        lexer.escape = ""
    try:
        words = list(lexer)
    except ValueError:
        # The line is not shown: a secret may be in it.
        raise usage_error(
            "A quote is not closed in this line.", "Close it.", code="open-quote"
        ) from None
    return Split(*split_flags(words), comment.strip())


def split_flags(words: Sequence[str]) -> Tuple[List[str], Tuple[str, ...]]:
    """Return the words that are not common flags, and the common flags by their full names."""
    rest = [word for word in words if word not in FLAGS]
    return rest, tuple(dict.fromkeys(FLAGS[word] for word in words if word in FLAGS))


def quote(word: str) -> str:
    """Return a word as it must be written to be read back as itself: quoted where needed."""
    plain = word and split_comment(word) == (word, "") and not set(word) & set(" \t'\"\\")
    if plain and not word.endswith("?"):  # with which IPython shows the help of what is before it
        return word
    if os.name == "nt" and '"' not in word:
        return f'"{word}"'
    return shlex.quote(word)


def complete_folder(word: str, host: Host, suffix: Optional[str] = None) -> List[str]:
    """Return the folders that a half-typed path may mean, from where the kernel is, home, a drive.

    With a ``suffix`` the files that end in it too; with the empty one all. Hidden ones are left
    out; none where the path leads nowhere.
    """
    head, slash, _ = word.rpartition("/")
    prefix = head + slash if slash else word.partition(":")[0] + ":" if ":" in word else ""
    try:
        folder = host.resolve(host.spell_typed(prefix or "."))
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        names = [f"{path.name}/" for path in paths if path.is_dir()]
        if suffix is not None:
            names += [x.name for x in paths if x.name.endswith(suffix) and not x.is_dir()]
    except Exception:  # Tab is no place for an error
        return []
    return [prefix + name for name in names if (prefix + name).startswith(word)]


def find_meant(word: str, words: Iterable[str], cutoff: float = 0.6) -> Optional[Slip]:
    """Return a misspelt word and the one of these that it is closest to; None where none is."""
    close = difflib.get_close_matches(word, list(words), 1, cutoff)
    return (word, close[0]) if close else None


def is_near(word: str, other: str) -> bool:
    """Return whether two words differ by one letter: wrong, missing, too many, or two swapped."""
    same = next(
        (i for i, (x, y) in enumerate(zip(word, other)) if x != y), min(len(word), len(other))
    )
    a, b = word[same:], other[same:]
    swapped = a[:2] == b[1::-1] and a[2:] == b[2:]
    return word != other and (swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:])


@contextmanager
def correcting(line: str, source: str, may_repeat: Callable[[str], bool]) -> Iterator[None]:
    """Let an error that names a slip in a line end with that line as it was meant.

    Not where the cell has another line, in which IPython has put the values of variables.
    """
    try:
        yield
    except input_errors() as error:
        slip: Optional[Slip] = getattr(error, "slip", None)
        is_typed = _join(line.partition(" ")[2]) in _join(source.replace("\\\n", " "))
        meant = _correct(line, *slip) if slip and is_typed else ""
        if meant and may_repeat(meant):
            set_hint(error, f"Type: {meant}")
        raise


def _join(text: str) -> str:
    return " ".join(text.split())


def _correct(line: str, wrong: str, right: str) -> str:
    """Return a line with one word replaced; empty where it is not there."""
    words = r"\s+".join(map(re.escape, wrong.split()))
    meant, count = re.subn(rf"(?<![\w.-]){words}(?![\w.-])", lambda _: right, line, count=1)
    return _join(meant) if count else ""


def is_harmless(line: str) -> bool:
    """Tell whether a line has no token, no URL with a login or a query, and no value as a name."""
    from .secret_scan import find

    words = line.replace("=", " ").split()
    names = (name for option, name in zip(words, words[1:]) if find_meant(option, _NAMED, 0.8))
    is_plain = not find(line) and not re.search(r":\S*@\S|\?\S", line)
    return is_plain and all(name in os.environ for name in names)


#: What is followed by the name of a secret.
_NAMED = ("--token", "--index-auth")

#: Words that people know from other programs -> the commands that may do it here; empty: the
#: line without a command.
_HABITS = {
    "add": ("set", "write"),
    "cancel": ("stop",),
    "delete": ("remove", "forget"),
    "disconnect": ("unmount",),
    "get": ("",),
    "info": ("",),
    "kill": ("stop",),
    "list": ("",),
    "logs": ("log",),
    "ls": ("list", ""),
    "pull": ("clone",),
    "push": ("save",),
    "remove": ("delete", "forget"),
    "rm": ("remove", "delete", "forget"),
    "show": ("",),
    "status": ("",),
    "tail": ("follow", "watch"),
    "umount": ("unmount",),
}


def seconds(text: str) -> float:
    """Return a positive number of seconds, for ``type=`` of an argument."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return number


_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> float:
    """Return the seconds of ``90s``, ``30m``, ``2h`` or ``1d``; else raise a ``UsageError``."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise usage_error(f"{text} is not a time.", "Write it like 30m or 2h.", code="not-a-time")
    return float(match.group(1)) * _UNITS[match.group(2)]


class Choice:
    """The type of an argument that is one of a few words; a wrong one is a ``UsageError``."""

    def __init__(self, prog: str, name: str, choices: Iterable[str]) -> None:
        self.prog, self.name, self.choices = prog, name, tuple(choices)

    def __call__(self, word: str) -> str:
        """Return the word; argparse passes a default, the empty text, through here too."""
        if word and word not in self.choices:
            raise usage_error(
                f"{self.prog}: there is no {self.name} {word}.",
                f"There are: {', '.join(self.choices)}.",
                code="unknown-choice",
                slip=find_meant(word, self.choices),
            )
        return word


class Parser(argparse.ArgumentParser):
    """The arguments of a magic: an ``argparse`` parser whose commands are parsers below it.

    What a line means, the help, completion and errors all come from this tree. Errors are
    IPython's ``UsageError``, with the codes ``unknown-command``, ``unknown-option``,
    ``unknown-choice`` and ``usage``.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        options = {"formatter_class": _Formatter, **options}
        super().__init__(prog=prog, add_help=False, allow_abbrev=False, **options)
        self.color = False  # Python 3.14 would colour the help by what standard output is
        self.commands: Dict[str, Parser] = {}

    def add_command(self, name: str, description: str, **options: Any) -> Parser:
        """Add a command, and return its parser."""
        parser = Parser(f"{self.prog} {name}", description=description, **options)
        self.commands[name] = parser
        return parser

    def parse_words(self, words: Sequence[str]) -> Tuple[str, argparse.Namespace]:
        """Read the words behind the magic's name into the command (or ``""``) and its arguments.

        Behind ``--`` is no command.
        """
        if words and words[0] in self.commands:
            command, arguments = self.commands[words[0]].parse_words(words[1:])
            return f"{words[0]} {command}".rstrip(), arguments
        arguments, rest = self.parse_known_intermixed_args(list(words[words[:1] == ["--"] :]))
        if rest:
            is_command = self.find_command(words[0]) and words[0] not in self.commands
            self._refuse(words[0] if is_command else rest[0])
        return "", arguments

    def find_command(self, word: str) -> Optional[Slip]:
        """Return the command that a word must mean that is none: known elsewhere, or a slip."""
        near = (command for command in self.commands if is_near(word, command))
        habits = (x for x in _HABITS.get(word, ()) if not x or x in self.commands)
        meant = next(chain(habits, near), None) if self.commands else None
        return None if meant is None else (word, meant)

    def _refuse(self, word: str) -> NoReturn:
        if word in self.commands:
            self.error(f"options come after the command: {word} ...")
        if not word.startswith("-"):
            if self.commands:
                raise self.unknown_command(word)
            self.error(f"{word} is one argument too many")
        word = word.partition("=")[0]
        raise usage_error(
            f"{self.prog} has no option {word}.",
            f"Type {self.prog.split()[0]}? for examples.",
            code="unknown-option",
            slip=find_meant(word, [*self._option_string_actions, *FLAGS]),
        )

    def unknown_command(self, word: str, more: str = "") -> Exception:
        """Return the error for a word that is no command, with the one that it may mean."""
        return usage_error(
            f"{self.prog} has no command {word}{more}.",
            f"There are: {', '.join(self.commands)}.",
            code="unknown-command",
            slip=self.find_command(word) or find_meant(word, self.commands),
        )

    def takes_value(self, option: str) -> bool:
        """Return whether a word is an option that is followed by its value."""
        action = self._option_string_actions.get(option)
        return action is not None and action.nargs != 0

    def complete(self, words: Sequence[str], symbol: str) -> List[str]:
        """Return the commands, options and choices that a half-typed word behind words may be."""
        if words and words[0] in self.commands:
            return self.commands[words[0]].complete(words[1:], symbol)
        before = self._option_string_actions.get(words[-1]) if words else None
        if before is not None and before.nargs != 0:
            candidates = _choices(before)
        else:
            candidates = [] if words else [*self.commands]
            for action in self._actions:
                candidates += action.option_strings or _choices(action)
        return [word for word in candidates if word.startswith(symbol)]

    def format_tree(self) -> str:
        """Return the usage and options of this parser and of each of its commands.

        The meanings of all options stand in one column.
        """
        parsers = [*self._walk()]
        names = [name for parser in parsers for name, _ in parser._rows()]
        width = min(max(map(len, names), default=0), _NAMES)
        return "\n\n".join("\n".join(parser._describe(width)) for parser in parsers)

    def _walk(self) -> Iterator[Parser]:
        """Yield this parser, unless it has commands alone, and those below it."""
        if self._actions or not self.commands:
            yield self
        for parser in self.commands.values():
            yield from parser._walk()

    def _describe(self, width: int) -> Iterator[str]:
        """Yield the lines of the help of this parser; options take a column of that width."""
        first, *more = self.format_usage().rstrip().split("\n")
        yield from (first.partition(": ")[2], *(line[len("usage: ") :] for line in more))
        yield from (f"  {text}" for text in (self.description, self.epilog) if text)
        for name, meaning in self._rows():
            lines = textwrap.wrap(meaning, _WIDTH - width - 6) or [""]
            if len(name) > width:
                lines.insert(0, "")
            for at, text in enumerate(lines):
                yield f"    {'' if at else name:{width}}  {text}".rstrip()

    def _rows(self) -> List[Tuple[str, str]]:
        """Return each argument as it is written, with its meaning."""
        rows = []
        for action in self._actions:
            value = str(action.metavar or action.dest)
            if action.option_strings:
                value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
            rows.append((", ".join(action.option_strings) + value, (action.help or "") % {}))
        return rows

    def error(self, message: str) -> NoReturn:
        """Raise the message as IPython's ``UsageError``."""
        raise usage_error(f"{self.prog}: {message}.", f"Type {self.prog.split()[0]}? for examples.")


class _Formatter(argparse.HelpFormatter):
    """As wide on each machine, whatever its terminal."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"width": _WIDTH, **options})


def _choices(action: argparse.Action) -> List[str]:
    return list(getattr(action.type, "choices", None) or action.choices or ())
