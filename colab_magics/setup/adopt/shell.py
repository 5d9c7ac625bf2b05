"""A line of the shell as commands: what is not a plain command is refused."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from typing import Any, List, Mapping, Tuple

_OPERATOR = re.compile(r"&&|\|\||[;|&\n]")
_REDIRECT = re.compile(r"(?:\d|&)?(>>?|<)(&\d|&-)?")


def name_list(text: str) -> Tuple[str, ...]:
    """Return the names in a text, which white space divides: tables are easier to read so."""
    return tuple(text.split())


_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
#: ``numpy>=2`` without quotes, which people write: the shell would write a file.
_BOUND = re.compile(r"[<>]=?\d|[<>]=")
#: What stands where a token was removed before a notebook was published.
_PLACEHOLDER = re.compile(r"<[A-Z_]+>")
_KEYWORDS = frozenset(name_list("else elif for while until do done case esac function { }"))
#: A test whether something is there, as a command.
_TEST = re.compile(r"(test|\[\[?) (! )?-[defsLrx] \S+( \]\]?)?")
_VARIABLE = re.compile(r"(?<!\\)\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
#: A quoted text, an escaped character, or a variable, in a line of the shell.
_PIECES = re.compile(rf"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|{_VARIABLE.pattern}")
#: Programs that are run by the program before them, with the same meaning.
_BEFORE = ("sudo", "time", "nohup", "command", "exec")


class NotUnderstood(Exception):
    """A statement, or a part of it, means nothing that a step says; the text says why."""


@dataclass
class Command:
    """One command: its words, what joins it to the one before, and where its output goes.

    ``appends``: it writes behind what a file has.
    """

    words: List[str]
    joined: str = ""
    output: List[str] = field(default_factory=list)
    variables: List[Tuple[str, str]] = field(default_factory=list)
    appends: bool = False
    sudo: str = ""

    @property
    def program(self) -> str:
        """Its program without a path."""
        return self.words[0].rpartition("/")[2] if self.words else ""

    def refuse_variables(self, *names: str) -> None:
        """Raise `NotUnderstood` where a variable of another name is set for the command alone."""
        if any(name not in names for name, _ in self.variables):
            raise NotUnderstood("a variable is set for this command alone")


def split(text: str) -> List[Command]:
    """Return the commands of a line or a script; `NotUnderstood` where they are more than that."""
    commands = [Command([])]
    at, word, is_word, quoted = 0, "", False, False
    text = text.replace("\\\n", " ")

    def end_word() -> None:
        nonlocal word, is_word, quoted
        if is_word:
            commands[-1].words.append(word)
            if not quoted and word in _KEYWORDS:
                raise NotUnderstood("it is a script of the shell")
        word, is_word, quoted = "", False, False

    while at < len(text):
        char = text[at]
        if char in "'\"":
            end = _end_of_quote(text, at)
            word, is_word, quoted = word + _unquote(text[at : end + 1]), True, True
            at = end + 1
        elif char == "\\" and at + 1 < len(text):
            word, is_word, at = word + text[at + 1], True, at + 2
        elif char in "`()" or text.startswith(("$(", "<<"), at):
            raise NotUnderstood("it is a script of the shell")
        elif char == "#" and not is_word:
            at = (text + "\n").index("\n", at)
        elif _PLACEHOLDER.match(text, at):
            end = text.index(">", at) + 1
            word, is_word, at = word + text[at:end], True, end
        elif is_word and _BOUND.match(text, at):
            word, at = word + char, at + 1
        elif (not is_word or char in "<>") and _REDIRECT.match(text, at):
            end_word()
            at = _redirect(text, at, commands[-1])
        elif _OPERATOR.match(text, at):
            end_word()
            operator = text[at : at + 2] if text[at : at + 2] in ("&&", "||") else char
            commands.append(Command([], operator))
            at += len(operator)
        elif char.isspace():
            end_word()
            at += 1
        else:
            word, is_word, at = word + char, True, at + 1
    end_word()
    return _without_tests([_without_prefix(command) for command in commands if command.words])


def put_values(text: str, variables: Mapping[str, str]) -> str:
    """Return a line of the shell with the values of variables where the shell puts them in."""

    def replace(match: Any) -> str:
        if match[0][0] == '"':
            return _VARIABLE.sub(replace, match[0])
        value = variables.get(match[1] or match[2] or "") or ""
        return value if re.fullmatch(r"[\w./:@+=-]+", value, re.ASCII) else str(match[0])

    return _PIECES.sub(replace, text)


def _without_tests(commands: List[Command]) -> List[Command]:
    """Return commands without tests whether something is there: a step does nothing where it holds.

    They are ``[ -d X ] || ...``, ``test ! -d X && ...`` and ``if [ ! -d X ]; then ...; fi``.
    """
    result: List[Command] = []
    depth, follows_test = 0, False
    for command in commands:
        word = command.words[0] if command.words else ""
        if word in ("if", "then"):
            command.words = command.words[1:]
        is_test = bool(_TEST.fullmatch(" ".join(command.words)))
        depth += (word == "if") - (word == "fi")
        is_read = not is_test and bool(command.words) and word != "fi"
        is_other_test = word in ("if", "test", "[", "[[") and not is_test
        moves = depth > 0 and command.program == "cd"
        writes = bool(command.output) and not is_read
        if is_other_test or moves or writes or (follows_test and command.joined in ("|", "&")):
            raise NotUnderstood("it depends on a condition")
        command.joined = ";" if follows_test else command.joined
        follows_test = is_test
        if is_read:
            result.append(command)
    if depth or follows_test:
        raise NotUnderstood("it is a script of the shell")
    return result


def _end_of_quote(text: str, at: int) -> int:
    """Return where the quote that opens here is closed."""
    end = at + 1
    while end < len(text) and text[end] != text[at]:
        end += 2 if text[at] == '"' and text[end] == "\\" else 1
    if end >= len(text):
        raise NotUnderstood("a quote is not closed")
    return end


def _unquote(text: str) -> str:
    inner = text[1:-1]
    if text[0] == '"':
        if "`" in inner or "$(" in inner:
            raise NotUnderstood("it is a script of the shell")
        inner = re.sub(r'\\(["\\$`\n])', r"\1", inner)
    return inner


def _redirect(text: str, at: int, command: Command) -> int:
    """Read where the output goes, and return where that ends."""
    match = _REDIRECT.match(text, at)
    if match is None or match[1] == "<":
        raise NotUnderstood("it reads its input from a file")
    if match[2]:
        return match.end()
    rest = text[match.end() :]
    target = re.split(r"[\s;&|<>]", rest.lstrip(), maxsplit=1)[0]
    command.output.append(target)
    command.appends = command.appends or match[1] == ">>"
    return len(text) - len(rest.lstrip()) + len(target)


def _without_prefix(command: Command) -> Command:
    """Return a command without ``sudo``, ``time`` and variables that are set for it alone."""
    words = list(command.words)
    while words and (words[0] in _BEFORE or _ASSIGNMENT.fullmatch(words[0])):
        word = words.pop(0)
        match = _ASSIGNMENT.fullmatch(word)
        if match:
            command.variables.append((match[1], match[2]))
        elif word == "sudo":
            command.sudo = "sudo "
            while words and words[0].startswith("-"):
                words.pop(0)
    command.words = words
    return command


def quote(word: str) -> str:
    """Return a word as the shell reads it; ``~/`` at its start stays home."""
    home = "~/" if word.startswith("~/") else ""
    rest = word[len(home) :]
    return home + (shlex.quote(rest) if rest else "" if home else "''")
