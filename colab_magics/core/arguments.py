"""The one dialect in which every magic reads its line.

Quotes are honoured; ``#`` after white space and outside quotes starts a comment, so that
``git+https://host/x#egg=y`` is not cut; backslashes are literal on Windows.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import shlex
from typing import Any, Dict, Iterable, List, NamedTuple, NoReturn, Sequence, Tuple

from .errors import usage_error
from .host import Host

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


def complete_folder(word: str, host: Host) -> List[str]:
    """Return the folders that a half-typed path may mean, from the start directory, home, a drive.

    Hidden ones are left out; none where the path leads nowhere.
    """
    head, slash, _ = word.rpartition("/")
    prefix = head + slash if slash else word.partition(":")[0] + ":" if ":" in word else ""
    try:
        names = sorted(p.name for p in host.resolve(prefix or ".").iterdir() if p.is_dir())
    except Exception:  # Tab is no place for an error
        return []
    folders = [f"{prefix}{name}/" for name in names if not name.startswith(".")]
    return [folder for folder in folders if folder.startswith(word)]


def suggest(word: str, words: Iterable[str]) -> str:
    """Return `` Did you mean X?`` for a misspelt word, empty where nothing is close."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def seconds(text: str) -> float:
    """Return a positive number of seconds, for ``type=`` of an argument."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return number


class Choice:
    """The type of an argument that is one of a few words; a wrong one is a ``UsageError``."""

    def __init__(self, prog: str, name: str, choices: Iterable[str]) -> None:
        self.prog, self.name, self.choices = prog, name, tuple(choices)

    def __call__(self, word: str) -> str:
        """Return the word; argparse passes a default, the empty text, through here too."""
        if word and word not in self.choices:
            raise usage_error(
                f"{self.prog}: there is no {self.name} {word}.{suggest(word, self.choices)}",
                f"There are: {', '.join(self.choices)}.",
                code="unknown-choice",
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
        """Read the words behind the magic's name into the command (or ``""``) and its arguments."""
        if words and words[0] in self.commands:
            command, arguments = self.commands[words[0]].parse_words(words[1:])
            return f"{words[0]} {command}".rstrip(), arguments
        arguments, rest = self.parse_known_intermixed_args(list(words))
        if rest:
            self._refuse(rest[0])
        return "", arguments

    def _refuse(self, word: str) -> NoReturn:
        if word in self.commands:
            self.error(f"options go behind the command: {word} ...")
        if word.startswith("-"):
            kind, known = "option", [*self._option_string_actions, *FLAGS]
        elif self.commands:
            kind, known = "command", [*self.commands]
        else:
            self.error(f"{word} is one argument too many")
        raise usage_error(
            f"{self.prog} has no {kind} {word.partition('=')[0]}.{suggest(word, known)}",
            f"Type {self.prog.split()[0]}? for examples.",
            code=f"unknown-{kind}",
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
        """Return the usage and options of this parser and of each of its commands."""
        parsers = [self] if self._actions or not self.commands else []
        texts = [parser.format_help().rstrip() for parser in parsers]
        return "\n\n".join([*texts, *(parser.format_tree() for parser in self.commands.values())])

    def error(self, message: str) -> NoReturn:
        """Raise the message as IPython's ``UsageError``."""
        raise usage_error(f"{self.prog}: {message}.", f"Type {self.prog.split()[0]}? for examples.")


class _Formatter(argparse.HelpFormatter):
    """As wide on each machine, whatever its terminal."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{"max_help_position": 28, "width": 88, **options})


def _choices(action: argparse.Action) -> List[str]:
    return list(getattr(action.type, "choices", None) or action.choices or ())
