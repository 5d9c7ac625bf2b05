"""The setup cell, render ⇄ parse: text that people edit, read back line by line.

``render(parse(text)) == text`` for every text: what is not one of our steps is kept as it is.
Only a line magic in the first column is a step; an indented one, or one inside a string or a
bracket, is code.
"""

from __future__ import annotations

import re
import tokenize
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from ..core.arguments import quote, split, split_comment, split_flags
from ..core.controls import has_controls, visible
from ..core.errors import NotebookError, bad_input
from ..core.origin import portable
from ..core.steps import STEPS, Step
from ..core.steps import parse as parse_step

#: The version of the cell's format; a newer one is refused, not guessed at.
FORMAT = 1
_ABOUT = "https://pypi.org/project/colab-magics/"
#: The extension reads it alike; tests/attacks/markers.json holds what both are to say.
_MARKER = re.compile(r"#[ \t]*colab_magics:setup v([0-9]+)(?![0-9A-Za-z_])")
_MAGIC = re.compile(r"%([A-Za-z_]\w*)(?=\s|$)")
_ESCAPED = re.compile(r"(\s*)(?:[\w.,\[\] ]+=\s*)?[%!?]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_OURS = re.compile(
    r"%(setup write( --all)?|(re)?load_ext colab_magics|pip install\b.*colab.magics)\s*"
)
_MANY = 5
#: A cell of ours has at most so many magic lines; further ones are calls in plain Python. IPython
#: refuses to run a cell that has 500 of them.
ESCAPES = 400
#: What IPython itself makes of a magic's line.
_CALL = re.compile(
    r"""get_ipython\(\)\.run_line_magic\('([A-Za-z_]\w*)', ('[^'\\]*'|"[^"\\]*")\)(\s+#.*)?"""
)
#: What is one word to IPython, to pip and to a shell, and nothing that IPython would expand.
_WORD = re.compile(r"[\w.~+:/@%=&?#-]*[\w/]", re.ASCII)


@dataclass(frozen=True)
class Line:
    """One statement of the cell: its text as it stands, and the step it means, if any.

    ``comment`` is the trailing comment with the white space before it; ``problem`` says why a
    line that begins like a step cannot be read as one.
    """

    text: str
    step: Optional[Step] = None
    comment: str = ""
    flags: Tuple[str, ...] = ()
    problem: str = ""

    def with_step(self, step: Step) -> Line:
        """This line saying ``step`` instead; unchanged where it says so already."""
        if step == self.step:
            return self
        line = replace(self, step=step, text=_sound(step, self.flags) + self.comment)
        return line.called() if _CALL.match(self.text) else line

    def called(self) -> Line:
        """This line of a step in plain Python, where that is read back as the same."""
        code = self.text[1 : len(self.text) - len(self.comment)].replace("\\\n    ", "")
        word, _, rest = code.partition(" ")
        text = f"get_ipython().run_line_magic({word!r}, {rest!r}){self.comment}"
        return replace(self, text=text) if [x.step for x in parse(text)] == [self.step] else self


def is_setup(source: str) -> bool:
    """Whether a cell is a setup cell: our marker stands in its leading comments."""
    return _version(source) is not None


def _version(source: str) -> Optional[int]:
    for line in source.splitlines():  # as IPython reads a cell
        found = _MARKER.match(line)
        if found:
            return int(found.group(1)[:9])
        if line.strip(" \t") and not line.startswith("#"):
            break
    return None


def only_setup(source: str) -> bool:
    """Whether a cell holds nothing but our own lines, so that a setup cell may take its place."""
    return all(
        (line.step is not None and not line.comment)
        or _OURS.fullmatch(line.text)
        or not line.text.strip()
        for line in parse(source)
    )


def parse(source: str) -> List[Line]:
    """The lines of a setup cell; `NotebookError` where a newer version of us wrote it."""
    version = _version(source)
    if version is not None and version > FORMAT:
        raise NotebookError(
            f"This setup cell has format v{version}; this colab_magics reads v{FORMAT}.",
            "Upgrade: %pip install -U colab-magics, then restart.",
        )
    lines: List[Line] = []
    for texts, is_magic in statements(source.split("\n")):
        found = _MAGIC.match(texts[0]) if is_magic else None
        call = _CALL.fullmatch(texts[0]) if is_magic else None
        if found is not None and found.group(1) in STEPS:
            lines.append(_read(found.group(1), texts))
        elif call is not None and call.group(1) in STEPS:
            meant = _read(call.group(1), [f"%{call.group(1)} {call.group(2)[1:-1]}"])
            lines.append(replace(meant, text=texts[0], comment=call.group(3) or ""))
        else:
            lines += map(Line, texts)
    return lines


def escapes(lines: Sequence[Line]) -> int:
    """How many lines IPython has to transform before it runs their cell."""
    return sum(_ESCAPED.match(line.text) is not None for line in lines)


def statements(texts: Sequence[str]) -> Iterator[Tuple[Sequence[str], bool]]:
    """The lines of a cell, those of one magic together; and whether they are a line magic of it.

    Which is none in a string, a bracket or a block. It may be called in plain Python.
    """
    code: List[str] = []  # since the last whole statement in the first column
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
        yield texts[at:end], called is not None or texts[at].startswith("%")
        code = [*code, escaped.group(1) + "pass"] if escaped and escaped.group(1) else []
        at = end


def magics(lines: Sequence[Line]) -> Set[int]:
    """Which lines are line magics: not what looks like one in a string, a bracket or a block."""
    rows: Dict[int, int] = {}
    row = 0
    for at, line in enumerate(lines):
        rows[row] = at
        row += line.text.count("\n") + 1
    found: Set[int] = set()
    row = 0
    for texts, is_magic in statements(render(lines).split("\n")):
        found |= {rows[row]} if is_magic and row in rows else set()
        row += len(texts)
    return found


def _read(word: str, texts: Sequence[str]) -> Line:
    text = "\n".join(texts)
    if any(len(one.splitlines()) > 1 for one in texts):  # IPython reads two lines there
        return Line(text, problem="a character in it that nobody sees ends the line: type it anew")
    code = text[len(word) + 1 :].replace("\\\n", " ")
    try:
        parts = split(code)
        step = parse_step(word, parts.words)
    except bad_input() as error:
        return Line(text, problem=str(error).split("\n")[0])
    plain, comment = split_comment(code)
    typed = tuple(w for w in plain.split() if split_flags([w])[1]) if parts.flags else ()
    return Line(text, step, comment, typed)


def _inside(code: Sequence[str]) -> bool:
    """Whether the code before a line, its magics taken out, leaves a string or a bracket open."""
    # JSON may hold half a character, Python's tokenizer not; IPython gives it these lines.
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
    """The text of the cell."""
    return "\n".join(line.text for line in lines)


def render_step(step: Step, flags: Sequence[str] = ()) -> str:
    """The magic line of a step; more than five arguments stand one on a line."""
    words = [quote(word) for word in step.arguments()]
    groups: List[str] = []
    for word in words:
        if groups and groups[-1].startswith("-") and " " not in groups[-1]:
            groups[-1] += " " + word
        else:
            groups.append(word)
    head = " ".join([f"%{step.word}", *flags])
    if len(groups) > _MANY:
        return " \\\n    ".join([head, *groups])
    return " ".join([head, *groups])


def step_line(step: Step, note: str = "") -> Line:
    """A new line for a step, with a note as its trailing comment.

    `NotebookError` where it would not be read back; a note that would be more than one is left out.
    """
    text = _sound(step)
    if has_controls(note) or is_expanded(note) or note.rstrip().endswith(("\\", "?")):
        note = ""
    comment = " " * max(2, 28 - len(text)) + "# " + note if note else ""
    return Line(text + comment, step, comment)


def is_expanded(text: str) -> bool:
    """Whether IPython would put values, or what code gives, into this text of a magic's line."""
    return bool(set(text) & set("${}"))


def sound_text(step: Step) -> str:
    """The magic line of a step, or those of its parts; `NotebookError` as `step_line` has it."""
    if _is_sound(step, render_step(step)):
        return render_step(step)
    return "\n".join(map(_sound, step.parts()))


@lru_cache(5000)  # proved when its step is done, and wherever it is then merged into
def _is_sound(step: Step, text: str) -> bool:
    hidden = any(map(has_controls, step.arguments()))
    return not hidden and [line.step for line in parse(text)] == [step]


def _sound(step: Step, flags: Sequence[str] = ()) -> str:
    """The magic line of a step, proved to be read back as that step and nothing more."""
    text = render_step(step, flags)
    if not _is_sound(step, text):
        raise NotebookError(
            f"This line would not be read back as it is meant: {visible(text, keep='')[:200]}",
            "Other names, without characters that nobody sees, can be remembered.",
        )
    return text


def new_cell() -> List[Line]:
    """The beginning of a new setup cell: what it is, and how it gets this package."""
    return [
        Line(text)
        for text in (
            "#@title Setup: run this first, and again after a restart",
            "# Brings back packages, Drive and folder. Safe to run twice. Edit freely.",
            f"# colab_magics:setup v{FORMAT} - what is this? {_ABOUT}",
            *install_lines(),
            "%reload_ext colab_magics",
        )
    ]


def install_lines() -> Tuple[str, ...]:
    """The lines of a setup cell that install colab_magics where it is missing."""
    wanted = portable()
    if not wanted:
        return ("# colab_magics came from a local copy: install it on a fresh machine first.",)
    if not _WORD.fullmatch(wanted):
        return ("# No line can name where colab_magics came from: install it first.",)
    return (
        "try:",
        "    import colab_magics",
        "except ModuleNotFoundError:",
        f"    %pip install -q {wanted}",
    )
