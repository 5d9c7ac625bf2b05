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
from ..core.origin import portable_requirement
from ..core.steps import STEPS, Step
from ..core.steps import parse as parse_step

#: The version of the cell's format; a newer one is refused.
FORMAT = 1
_ABOUT = "https://pypi.org/project/colab-magics/"
#: The front-end extension has the same rule; tests/attacks/markers.json tests both.
_MARKER = re.compile(r"#[ \t]*colab_magics:setup v([0-9]+)(?![0-9A-Za-z_])")
_MAGIC = re.compile(r"%([A-Za-z_]\w*)(?=\s|$)")
_ESCAPED = re.compile(r"(\s*)(?:[\w.,\[\] ]+=\s*)?[%!?]")
_SURROGATE = re.compile("[\ud800-\udfff]")
#: Lines that install and load this package, in any release's setup cell; nothing else on them.
_HEAD = re.compile(
    r"try:|import colab_magics|except ModuleNotFoundError:|%(re)?load_ext colab_magics|"
    r"%pip install (-q |-U |--quiet |--upgrade )*\S*colab[-_.]magics\S*"
)
_WRITE = re.compile(r"%setup write( --all)?")
#: A line magic with more arguments than these has each on a line of its own.
_MOST_ARGUMENTS = 5
#: Magic lines in a cell that we write; further ones are calls in plain Python, because IPython
#: refuses to run a cell with 500 of them.
MOST_ESCAPES = 400
#: The code that IPython makes of a line magic.
_CALL = re.compile(
    r"""get_ipython\(\)\.run_line_magic\('([A-Za-z_]\w*)', ('[^'\\]*'|"[^"\\]*")\)(\s+#.*)?"""
)
#: One word to IPython, to pip and to a shell, in which IPython expands nothing.
_WORD = re.compile(r"[\w.~+:/@%=&?#-]*[\w/]", re.ASCII)


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
    return all(
        not line.comment if line.step else is_head(line.text) or _WRITE.fullmatch(line.text.strip())
        for line in parse(source)
    )


def is_head(text: str) -> bool:
    """Return whether a line is blank, or one that installs or loads this package."""
    return not text.strip() or bool(_HEAD.fullmatch(text.strip()))


def parse(source: str) -> List[Line]:
    """Return the lines of a setup cell; `NotebookError` if a newer release wrote it."""
    version = _version(source)
    if version is not None and version > FORMAT:
        raise NotebookError(
            f"This setup cell has format v{version}; this colab_magics reads v{FORMAT}.",
            "Upgrade: %pip install -U colab-magics, then restart.",
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
        yield texts[at:end], called is not None or texts[at].startswith("%")
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


def render_step(step: Step, flags: Sequence[str] = ()) -> str:
    """Return the magic line of a step, over several lines if it has more than five arguments."""
    groups: List[str] = []  # an option with its value is one argument
    for word in map(quote, step.arguments()):
        if groups and groups[-1].startswith("-") and " " not in groups[-1]:
            groups[-1] += " " + word
        else:
            groups.append(word)
    head = " ".join([f"%{step.word}", *flags])
    return (" \\\n    " if len(groups) > _MOST_ARGUMENTS else " ").join([head, *groups])


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


def new_cell() -> List[Line]:
    """Return the head of a new setup cell."""
    return parse(
        "\n".join(
            (
                "#@title Setup: run this first, and again after a restart",
                "# Brings back packages, Drive and folder. Safe to run twice. Edit freely.",
                f"# colab_magics:setup v{FORMAT} - what is this? {_ABOUT}",
                *bootstrap_lines(),
                "%reload_ext colab_magics",
            )
        )
    )


def bootstrap_lines() -> Tuple[str, ...]:
    """Return the lines of a setup cell that install colab_magics where it is missing."""
    source = portable_requirement()
    if not source:
        return ("# colab_magics came from a local copy: install it on a fresh machine first.",)
    if not _WORD.fullmatch(source):
        return ("# colab_magics came from a place that no line can name: install it first.",)
    return (
        "try:",
        "    import colab_magics",
        "except ModuleNotFoundError:",
        f"    %pip install -q {source}",
    )
