"""Requirements as people write them: PEP 508 texts, requirements files, ``%%pin`` bodies."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Tuple

from ..core.arguments import split_comment
from ..core.errors import ColabMagicsError, bad_input, usage_error
from ..core.files import content
from ..core.redact import userinfo_spans

if TYPE_CHECKING:
    from packaging.requirements import Requirement


_INCLUDED = re.compile(r"(?:-r\s*|--requirement(?:\s+|=))(.+)")
_NAMES_PATH = re.compile(r"(-[cef](?=\s)|--(?:constraint|editable|find-links)(?=[\s=]))[\s=]*(.+)")


#: Each text is asked about many times while a line is read, checked, merged and written.
_MANY = 5000


@lru_cache(_MANY)
def requirement(text: str) -> Requirement:
    """The requirement that a text says, less its hashes; a ``UsageError`` where it says none.

    Others get the same object, so that it is not to be changed.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text.split(" --hash")[0])
    except InvalidRequirement:
        raise usage_error(
            f"Not a requirement: {text}",
            "Write it without spaces, or in quotes: numpy==2.1.3 or "
            "\"numpy>=2; python_version>='3.10'\".",
        ) from None


def normal(text: str) -> str:
    """A requirement as it is kept: one space between words, a bare URL by its ``#egg=`` name."""
    text = " ".join(text.split())
    if not re.match(r"[a-z+]+://", text):
        return text
    url, _, fragment = text.partition("#")
    name = re.search(r"egg=([A-Za-z0-9._-]+)", fragment)
    if name is None:
        raise usage_error(f"No name for {text}.", "Write it as: NAME @ URL, in quotes.")
    return f"{name.group(1)} @ {url}"


@lru_cache(_MANY)
def key(text: str) -> str:
    """What a requirement decides: its canonical name, and its marker if it has one."""
    from packaging.utils import canonicalize_name

    asked = requirement(text)
    return canonicalize_name(asked.name) + (f"; {asked.marker}" if asked.marker else "")


def project_name(text: str) -> str:
    """Return the canonical name of a requirement."""
    return key(text).split(";")[0]


def carries_secret(text: str) -> bool:
    """Whether a URL in the text holds a password or a token (``git@`` over ssh is none)."""
    return any(
        ":" in text[start:end] or not text[:start].lower().endswith("ssh://")
        for start, end in userinfo_spans(text)
    )


def split_extras(folder: str) -> Tuple[str, List[str]]:
    """A folder as ``-e`` names it, and the extras after it: ``.[dev,docs]``."""
    found = re.fullmatch(r"(.+?)\[([^\[\]/]*)\]", folder)
    if found is None:
        return folder, []
    return found.group(1), [extra.strip() for extra in found.group(2).split(",")]


def written(path: str) -> str:
    """An absolute path for where white space divides: as a URL if it has any."""
    if not re.search(r"\s", path):
        return path
    bare, extras = split_extras(path)
    return Path(bare).as_uri() + (f"[{','.join(extras)}]" if extras else "")


def body_words(body: str) -> List[str]:
    """The words of a ``%%pin`` body: one requirement or option a line, with comments."""
    words: List[str] = []
    for line in _logical_lines(body):
        included = _INCLUDED.match(line)
        if included:
            words += ["-r", included.group(1)]
        elif line.startswith("-"):
            words += re.split(r"[\s=]+" if line.startswith("--") else r"\s+", line, maxsplit=1)
        else:
            words.append(line.replace("\t", " "))
    return words


def read_file(path: Path, above: Tuple[Path, ...] = ()) -> Tuple[List[str], List[str]]:
    """The requirements of a file and of those it includes, and their option lines.

    ``above`` are the files that include this one.
    """
    if not path.is_file():
        raise ColabMagicsError(f"There is no requirements file {path.name}.", "Check the path.")
    if path.resolve() in above:
        raise ColabMagicsError(f"{path.name} includes itself.", "Take that line out of it.")
    found: List[str] = []
    options: List[str] = []
    lines = _logical_lines(content(path).decode("utf-8-sig", "replace"))
    for number, line in enumerate(lines, 1):
        included = _INCLUDED.match(line)
        if included:
            inner = read_file(path.parent / included.group(1), (*above, path.resolve()))
            found += inner[0]
            options += inner[1]
        elif line.startswith("-"):
            options.append(_placed(line, path.parent))
        else:
            found.append(_checked(line, path.name, number))
    return found, options


def _checked(line: str, name: str, number: int) -> str:
    """The requirement of a file as it is kept; what is none is not shown: it may be a secret."""
    try:
        text = normal(line)
        requirement(text)
    except bad_input():
        raise usage_error(
            f"{name} holds what is no requirement, in its entry {number}.", "Name another file."
        ) from None
    return text


def _placed(line: str, folder: Path) -> str:
    """An option line whose path, if it names one, counts from the folder of its file."""
    found = _NAMES_PATH.match(line)
    if found and (folder / found.group(2).split("[")[0]).exists():
        return f"{found.group(1)} {folder / found.group(2)}"
    return line


def _logical_lines(text: str) -> Iterator[str]:
    """Lines with continuations joined, without comments and blank lines."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        code = split_comment(line)[0].strip()
        if code:
            yield code
