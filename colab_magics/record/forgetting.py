"""Which lines ``%setup forget numpy`` means."""

import re
from os.path import normpath
from typing import FrozenSet, List, Sequence, Set, Tuple

from ..core.errors import NotebookError
from ..core.steps import STEPS
from .cell import Line, new_cell
from .merge import Merged
from .merge import forget as drop


def forget(lines: Sequence[Line], selector: Sequence[str]) -> Merged:
    """The lines without the steps that a selector names; with none, no lines at all.

    A selector is a kind (``pin``), a kind and a name (``pin numpy``), or the name of a pinned
    package, file or folder. `NotebookError` where all are to go and lines of the user's own
    would go with them.
    """
    if not selector:
        return _all(lines)
    word, names = selector[0], list(selector[1:])
    if word in {"cd", "auto"}:
        word = {"cd": "cd_persist", "auto": "setup"}[word]
    if word not in STEPS:
        word, names = "pin", list(selector)
    result = list(lines)
    gone: List[str] = []
    for keys in [_matching(lines, word, name) for name in names] or [frozenset()]:
        if names and not keys:
            continue
        result, changes = drop(result, word, keys)
        gone += changes
    return result, tuple(gone)


def _matching(lines: Sequence[Line], word: str, name: str) -> FrozenSet[str]:
    """The keys of a kind that a person means by a name: any spelling, with any marker."""
    wanted = _folded(name)
    return frozenset(
        key
        for line in lines
        if line.step is not None and line.step.word == word
        for key in line.step.keys
        if key == name or (word == "pin" and (_folded(key) == wanted or _is_path(key, name)))
    )


def _is_path(key: str, name: str) -> bool:
    """Whether a key is the file or the folder of this name, however it is spelled."""
    return key in {f"{option} {normpath(name)}" for option in ("-r", "-e")}


def _folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>~!\[ ;]", name)[0] or name).lower()


def _all(lines: Sequence[Line]) -> Merged:
    """No lines, unless some are the user's own."""
    head = {line.text for line in new_cell()}
    own = [line.text for line in lines if line.step is None and _own(line.text, head)]
    if own:
        raise NotebookError(
            f"The setup cell also holds lines of your own: {'; '.join(own[:3])}.",
            "Delete the cell by hand, or forget the lines one by one.",
        )
    gone: Tuple[str, ...] = tuple(line.text for line in lines if line.step is not None)
    return [], gone or (("the setup cell",) if lines else ())


def _own(text: str, head: Set[str]) -> bool:
    plain = text.strip()
    ours = plain in {"try:", "import colab_magics", "except ModuleNotFoundError:"}
    loads = re.match(r"%(re)?load_ext colab_magics$", plain)
    installs = re.match(r"%pip install -q \S*colab[-_]magics\S*$", plain)
    return (
        bool(plain)
        and not plain.startswith("#")
        and not (ours or loads or installs)
        and text not in head
    )
