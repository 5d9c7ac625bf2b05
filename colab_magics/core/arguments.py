"""The one dialect in which every magic reads its line.

Quotes are honoured; ``#`` after white space and outside quotes starts a comment, so that
``git+https://host/x#egg=y`` is not cut; backslashes are literal on Windows.
"""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING, Any, List, NamedTuple, NoReturn, Sequence, Tuple

from .errors import usage_error

if TYPE_CHECKING:
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
    """The code of a line and its trailing comment, with the white space before it."""
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
    """Words, flags and comment of a magic's line; an unclosed quote is a ``UsageError``."""
    code, comment = split_comment(line)
    lexer = shlex.shlex(code, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if os.name == "nt":
        lexer.escape = ""
    try:
        words = list(lexer)
    except ValueError:
        # The line is not shown: a secret may stand in it.
        raise usage_error("A quote is not closed in this line.", "Close it.") from None
    rest, flags = split_flags(words)
    return Split(rest, flags, comment.strip())


def split_flags(words: Sequence[str]) -> Tuple[List[str], Tuple[str, ...]]:
    """The words that are not common flags, and the common flags by their full names."""
    rest = [word for word in words if word not in FLAGS]
    return rest, tuple(dict.fromkeys(FLAGS[word] for word in words if word in FLAGS))


def quote(word: str) -> str:
    """A word as it must be written to be read back as itself: quoted only where needed."""
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


class Parser(argparse.ArgumentParser):
    """``argparse`` that raises ``UsageError`` instead of leaving the kernel."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog=prog, add_help=False, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise the message as IPython's ``UsageError``."""
        raise usage_error(f"{self.prog}: {message}", f"Type {self.prog.split()[0]}? for examples.")
