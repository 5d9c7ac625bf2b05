"""Parse the text of a setup cell into lines and render them back.

``render(parse(text)) == text`` for every text: what is not a step stays unchanged. Only a line
magic in the first column is a step; inside a string, a bracket or a block it is code.
"""

from __future__ import annotations

import re
import tokenize
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Iterator, List, Optional, Sequence, Tuple

from ..core.arguments import quote, split, split_comment, split_flags
from ..core.controls import has_controls, visible
from ..core.errors import NotebookError, input_errors
from ..core.host import Host
from ..core.origin import newest, portable_source, repository
from ..core.steps import STEPS, Step
from ..core.steps import parse as parse_step

#: The version of the cell's format; a newer one is refused.
FORMAT = 1
#: The front-end extension has the same rule; tests/attacks/markers.json tests both.
_MARKER = re.compile(r"#[ \t]*colab_magics:setup v([0-9]+)(?![0-9A-Za-z_])")
_MAGIC = re.compile(r"%([A-Za-z_]\w*)(?=\s|$)")
_ESCAPED = re.compile(r"(\s*)(?:[\w.,\[\] ]+=\s*)?[%!?]")
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Lines that install and load this package, in any release's setup cell; nothing else on them.
_HEAD = re.compile(
    r"\s*(try:|import colab_magics|except ModuleNotFoundError:|%(re)?load_ext colab_magics|"
    r"%pip install (-q |-U |--quiet |--upgrade )*\S*colab[-_.]magics\S*)"
)
#: What may have any name is ours only where `bootstrap_lines` puts it, with no other line beside.
_BOOTSTRAP = re.compile(
    r"^except ModuleNotFoundError:\n"
    r"(    from google\.colab import drive; drive\.mount\('[^'\s]+'\)\n)?"
    r"""    %pip install -q ((\w+\+)?\w+://\S+|\.{0,2}/\S*|"\.{0,2}/[^"\n]*")$(?!\n[ \t]+\S)""",
    re.MULTILINE,
)
_WRITE = re.compile(r"%setup write( --all)?")
#: A line magic with more arguments than these has each on a line of its own; one that is longer
#: than these characters has its options below it.
_MOST_ARGUMENTS, _LONG = 5, 96
#: A hash in a text that people read.
_HASH = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{24,}\b")
#: Magic lines in a cell that we write; further ones are calls in plain Python, because IPython
#: refuses to run a cell with 500 of them.
MOST_ESCAPES = 400
#: The code that IPython makes of a line magic.
_CALL = re.compile(
    r"""get_ipython\(\)\.run_line_magic\('([A-Za-z_]\w*)', ('[^'\\]*'|"[^"\\]*")\)(\s+#.*)?"""
)
#: One word to IPython, to pip and to a shell, in which IPython expands nothing.
_WORD = re.compile(r"[\w.~+:/@%=?#-]*[\w/]", re.ASCII)


@dataclass(frozen=True)
class Line:
    """A statement of the cell: its text, and the step that it means, if any.

    ``comment`` is the trailing comment with the white space before it; ``problem`` says why a
    line that begins like a step is none.
    """

    text: str
    step: Optional[Step] = None
    comment: str = ""
    flags: Tuple[str, ...] = ()
    problem: str = ""
    is_magic: bool = field(default=False, compare=False)

    def with_step(self, step: Step) -> Line:
        """Return this line with another step, with its comment and flags."""
        if step == self.step:
            return self
        line = replace(self, step=step, text=_verified(step, self.flags) + self.comment)
        return line.as_call() if _CALL.match(self.text) else line

    def as_call(self) -> Line:
        """Return this line as a call in plain Python, where that reads back as the same step."""
        code = self.text[1 : len(self.text) - len(self.comment)].replace("\\\n    ", "")
        word, _, rest = code.partition(" ")
        text = f"get_ipython().run_line_magic({word!r}, {rest!r}){self.comment}"
        return replace(self, text=text) if [x.step for x in parse(text)] == [self.step] else self


def is_setup(source: str) -> bool:
    """Return whether our marker is in the leading comments of a cell."""
    return _version(source) is not None


def _version(source: str) -> Optional[int]:
    for line in source.splitlines():  # as IPython reads a cell
        marker = _MARKER.match(line)
        if marker:
            return int(marker.group(1)[:9])
        if line.strip(" \t") and not line.startswith("#"):
            break
    return None


def is_replaceable(source: str) -> bool:
    """Return whether a cell has no line of the user's own, so that it may be replaced."""
    lines = parse(source)
    if any(line.comment for line in lines if line.step):
        return False
    others = others_than_head([line.text for line in lines if line.step is None])
    return all(_WRITE.fullmatch(text.strip()) for text in others)


def others_than_head(texts: Sequence[str]) -> List[str]:
    """Return the lines that are not blank, and do not install or load this package."""
    rows = _BOOTSTRAP.sub("", "\n".join(text.rstrip() for text in texts)).split("\n")
    return [row for row in rows if row.strip() and not _HEAD.fullmatch(row)]


def parse(source: str) -> List[Line]:
    """Return the lines of a setup cell; `NotebookError` if a newer release wrote it."""
    version = _version(source)
    if version is not None and version > FORMAT:
        raise NotebookError(
            f"This setup cell has format v{version}; this colab_magics reads v{FORMAT}.",
            f"Upgrade: %pip install -U {newest()}, then restart.",
            code="newer-format",
        )
    lines: List[Line] = []
    for texts, is_magic in statements(source.split("\n")):
        magic = _MAGIC.match(texts[0]) if is_magic else None
        call = _CALL.fullmatch(texts[0]) if is_magic else None
        if magic is not None and magic.group(1) in STEPS:
            lines.append(_read(magic.group(1), texts))
        elif call is not None and call.group(1) in STEPS:
            line = _read(call.group(1), [f"%{call.group(1)} {call.group(2)[1:-1]}"])
            lines.append(replace(line, text=texts[0], comment=call.group(3) or ""))
        else:
            lines += [Line(texts[0], is_magic=is_magic), *map(Line, texts[1:])]
    return lines


def count_escapes(lines: Sequence[Line]) -> int:
    """Return how many lines IPython transforms before it runs the cell."""
    return sum(_ESCAPED.match(line.text) is not None for line in lines)


def statements(texts: Sequence[str]) -> Iterator[Tuple[Sequence[str], bool]]:
    """Yield the lines of each magic together and other lines singly, and whether they are a magic.

    A line in a string, a bracket or a block is no magic; a call in plain Python is.
    """
    for rows, is_escaped in split_escapes(texts):
        is_magic = is_escaped and not _ESCAPED.match(rows[0])  # a call
        yield rows, is_magic or (is_escaped and rows[0].startswith("%"))


def split_escapes(texts: Sequence[str]) -> Iterator[Tuple[Sequence[str], bool]]:
    """Yield the lines that IPython transforms as one, or a single line, and whether it does so.

    Where IPython's lines begin and end is decided here alone. A magic as a call counts as one.
    """
    code: List[str] = []  # since the last complete statement in the first column
    at = 0
    while at < len(texts):
        called = _CALL.fullmatch(texts[at].rstrip("\n"))
        escaped = _ESCAPED.match(texts[at])
        if not (called or escaped) or _inside(code):
            code.append(texts[at].rstrip("\n"))
            yield texts[at : at + 1], False
            at += 1
            continue
        end = at + 1
        while texts[end - 1].rstrip("\n").endswith("\\") and end < len(texts):
            end += 1
        yield texts[at:end], True
        code = [*code, escaped.group(1) + "pass"] if escaped and escaped.group(1) else []
        at = end


def _read(word: str, texts: Sequence[str]) -> Line:
    text = "\n".join(texts)
    if any(len(row.splitlines()) > 1 for row in texts):  # IPython reads two lines there
        return Line(text, problem="an invisible character ends the line: type the line again")
    code = text[len(word) + 1 :].replace("\\\n", " ")
    try:
        parts = split(code)
        step = parse_step(word, parts.words)
    except input_errors() as error:
        return Line(text, problem=str(error).split("\n")[0])
    plain, comment = split_comment(code)
    typed = tuple(w for w in plain.split() if split_flags([w])[1]) if parts.flags else ()
    return Line(text, step, comment, typed)


def _inside(code: Sequence[str]) -> bool:
    """Return whether code without its magics leaves a string or a bracket open."""
    # JSON may hold half a surrogate pair, which Python's tokenizer refuses.
    text = _SURROGATE.sub("_", "\n".join([*code, ""]))
    try:
        for _ in tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__):
            pass
    except tokenize.TokenError as error:
        return "multi-line" in str(error) or "triple-quoted" in str(error)
    except (SyntaxError, SystemError):  # the latter is CPython 3.13.0's, of some f-strings
        return False
    return False


def render(lines: Sequence[Line]) -> str:
    """Return the text of the cell."""
    return "\n".join(line.text for line in lines)


def brief(text: str) -> str:
    """Return a magic line as messages and tables show it: in one row, hashes by eight digits."""
    return _HASH.sub(r"\1...", text.replace(" \\\n   ", ""))


def render_step(step: Step, flags: Sequence[str] = ()) -> str:
    """Return the magic line of a step, over several lines if it has many arguments or is long."""
    groups: List[str] = []  # an option with its value is one argument
    for word in map(quote, step.arguments()):
        is_value = groups and groups[-1].startswith("-") and not word.startswith("-")
        if is_value and " " not in groups[-1]:
            groups[-1] += " " + word
        else:
            groups.append(word)
    head = " ".join([f"%{step.word}", *flags])
    line = " ".join([head, *groups])
    if len(groups) <= _MOST_ARGUMENTS and len(line) <= _LONG:
        return line
    if len(groups) <= _MOST_ARGUMENTS:  # a long one has a hash, which nobody reads, or a URL
        options = (at for at, group in enumerate(groups) if group.startswith("-"))
        first = next(options, len(groups))
        head, groups = " ".join([head, *groups[:first]]), groups[first:]
    return " \\\n    ".join([head, *groups])


def step_line(step: Step, note: str = "") -> Line:
    """Return a new line for a step, with a note as its comment; `NotebookError` as `_verified`.

    A note that would be more than a comment is dropped.
    """
    text = _verified(step)
    if has_controls(note) or is_expanded(note) or note.rstrip().endswith(("\\", "?")):
        note = ""
    comment = " " * max(2, 28 - len(text)) + "# " + note if note else ""
    return Line(text + comment, step, comment)


def is_expanded(text: str) -> bool:
    """Return whether IPython would expand something in this text of a magic's line."""
    return bool(set(text) & set("${}"))


def render_verified(step: Step) -> str:
    """Return the magic line of a step, or those of its parts; `NotebookError` as `_verified`."""
    if _reads_back(step, render_step(step)):
        return render_step(step)
    return "\n".join(map(_verified, step.parts()))


@lru_cache(5000)  # the same line is verified when its step succeeds and when it is merged
def _reads_back(step: Step, text: str) -> bool:
    hidden = any(map(has_controls, step.arguments()))
    return not hidden and [line.step for line in parse(text)] == [step]


def _verified(step: Step, flags: Sequence[str] = ()) -> str:
    """Return the magic line of a step; `NotebookError` unless it reads back as just that step."""
    text = render_step(step, flags)
    if not _reads_back(step, text):
        raise NotebookError(
            f"This line cannot be recorded: {visible(text, allow='')[:200]}",
            "It would not be read back as it was typed: use names without invisible characters.",
            code="line-not-recordable",
        )
    return text


def with_marker(lines: Sequence[Line]) -> List[Line]:
    """Return the lines of a setup cell that has lost its marker, with it, below a title."""
    at = 1 if lines and lines[0].text.startswith("#@title") else 0
    return [*lines[:at], Line(_marker_line()), *lines[at:]]


def _marker_line() -> str:
    address = repository()
    return f"# colab_magics:setup v{FORMAT}" + (f" - what is this? {address}" if address else "")


def new_cell(host: Optional[Host] = None) -> List[Line]:
    """Return the head of a new setup cell, for a notebook that runs on this host."""
    return parse(
        "\n".join(
            (
                "#@title Setup: run this first, and again after a restart",
                "# Brings back packages, Drive and folder. Safe to run twice. Edit freely.",
                _marker_line(),
                *bootstrap_lines(host),
                "%reload_ext colab_magics",
            )
        )
    )


def installs_package(source: str) -> bool:
    """Return whether a setup cell installs colab_magics where it is missing."""
    return bool(_BOOTSTRAP.search(source) or re.search(r"^    %pip install -q \S", source, re.M))


def bootstrap_lines(host: Optional[Host] = None) -> Tuple[str, ...]:
    """Return the lines of a setup cell that install colab_magics where it is missing."""
    source, mount = portable_source(host)
    if not source:
        return ("# colab_magics came from a local copy: install it on a fresh machine first.",)
    is_path = source.startswith((".", "/"))  # which may have spaces, and then is quoted
    word = source.replace(" ", "_") if is_path else source
    if not _WORD.fullmatch(word) or not _WORD.fullmatch(mount or "/"):
        return ("# colab_magics came from a place that no line can name: install it first.",)
    return (
        "try:",
        "    import colab_magics",
        "except ModuleNotFoundError:",
        *([f"    from google.colab import drive; drive.mount('{mount}')"] if mount else ()),
        f"    %pip install -q {source}" if word == source else f'    %pip install -q "{source}"',
    )
