"""Requirements as people write them: PEP 508 texts, requirements files, ``%%pin`` bodies."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, List, Tuple

from ..core.arguments import split_comment
from ..core.errors import ColabMagicsError, input_errors, usage_error
from ..core.files import content
from ..core.redact import userinfo_spans

if TYPE_CHECKING:
    from packaging.requirements import Requirement


_INCLUDED = re.compile(r"(?:-r\s*|--requirement(?:\s+|=))(.+)")
_NAMES_PATH = re.compile(r"(-[cef](?=\s)|--(?:constraint|editable|find-links)(?=[\s=]))[\s=]*(.+)")


#: Each text is parsed many times while a line is read, checked, merged and written.
_CACHED = 5000


@lru_cache(_CACHED)
def requirement(text: str) -> Requirement:
    """Return the requirement that a text says, less its hashes; ``UsageError``: it is none.

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
            code="not-a-requirement",
        ) from None


def normal(text: str) -> str:
    """Return a requirement with one space between words, a bare URL by its ``#egg=`` name."""
    text = " ".join(text.split())
    if not re.match(r"[a-z+]+://", text):
        return text
    url, _, fragment = text.partition("#")
    name = re.search(r"egg=([A-Za-z0-9._-]+)", fragment)
    if name is None:
        raise usage_error(
            f"No name for {text}.", "Write it as: NAME @ URL, in quotes.", code="not-a-requirement"
        )
    return f"{name.group(1)} @ {url}"


@lru_cache(_CACHED)
def key(text: str) -> str:
    """Return what a requirement decides: its canonical name, and its marker if it has one."""
    from packaging.utils import canonicalize_name

    need = requirement(text)
    return canonicalize_name(need.name) + (f"; {need.marker}" if need.marker else "")


def project_name(text: str) -> str:
    """Return the canonical name of a requirement."""
    return key(text).split(";")[0]


def carries_secret(text: str) -> bool:
    """Return whether a URL in the text holds a password or a token (``git@`` over ssh is none)."""
    return any(
        ":" in text[start:end] or not text[:start].lower().endswith("ssh://")
        for start, end in userinfo_spans(text)
    )


def split_extras(folder: str) -> Tuple[str, List[str]]:
    """Return a folder as ``-e`` names it, and the extras after it: ``.[dev,docs]``."""
    match = re.fullmatch(r"(.+?)\[([^\[\]/]*)\]", folder)
    return (match[1], re.split(r"\s*,\s*", match[2].strip())) if match else (folder, [])


def written(path: str) -> str:
    """Return an absolute path for where white space divides: as a URL if it has any."""
    if not re.search(r"\s", path):
        return path
    bare, extras = split_extras(path)
    return Path(bare).as_uri() + (f"[{','.join(extras)}]" if extras else "")


def body_words(body: str) -> List[str]:
    """Return the words of a ``%%pin`` body: one requirement or option a line, with comments."""
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
    """Return the requirements of a file and of those it includes, and their option lines.

    ``above`` are the files that include this one.
    """
    if not path.is_file():
        raise ColabMagicsError(
            f"There is no requirements file {path.name}.", "Check the path.", code="no-file"
        )
    if path.resolve() in above:
        raise ColabMagicsError(
            f"{path.name} includes itself.", "Take that line out of it.", code="includes-itself"
        )
    texts: List[str] = []
    options: List[str] = []
    lines = _logical_lines(content(path).decode("utf-8-sig", "replace"))
    for number, line in enumerate(lines, 1):
        included = _INCLUDED.match(line)
        if included:
            inner = read_file(path.parent / included[1], (*above, path.resolve()))
            texts += inner[0]
            options += inner[1]
        elif line.startswith("-"):
            options.append(_placed(line, path.parent))
        else:
            texts.append(_checked(line, path.name, number))
    return texts, options


def _checked(line: str, name: str, number: int) -> str:
    """Return the requirement of a line; what is none is not shown: it may be a secret."""
    try:
        text = normal(line)
        requirement(text)
    except input_errors():
        raise usage_error(
            f"Entry {number} of {name} is not a requirement.",
            "Name another file.",
            code="not-a-requirement",
        ) from None
    return text


def _placed(line: str, folder: Path) -> str:
    """Return an option line whose path, if it names one, counts from the folder of its file."""
    match = _NAMES_PATH.match(line)
    if match and (folder / match[2].split("[")[0]).exists():
        return f"{match[1]} {folder / match[2]}"
    return line


def _logical_lines(text: str) -> Iterator[str]:
    """Iterate over lines with continuations joined, without comments and blank lines."""
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        code = split_comment(line)[0].strip()
        if code:
            yield code
