"""What is known while the cells are read in their order: folder, values, files, steps so far."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import AbstractSet, Any, Dict, List, Literal, Mapping, Optional, Sequence, Set, Tuple

from ...core.controls import has_controls
from ...core.errors import input_errors
from ...core.secret_scan import find
from ...core.steps import Step
from ...core.steps import parse as parse_step
from ...record.cell import is_expanded, render_verified
from .shell import NotUnderstood

#: ``step`` is a magic line, ``line`` one of the shell that is safe to run twice, ``dropped`` none.
Kind = Literal["step", "line", "dropped"]

#: The folder in which a kernel of Colab starts: what is below it is relative to that.
START = "/content"
_DRIVE = re.compile(r"(/content/g?drive)/My ?Drive(?:/(.*))?")
#: Around the name of the secret that a variable holds, within a text.
SECRET = "\ue000{}\ue001"  # noqa: S105 - a name is put into it
SECRET_MARK = re.compile("\ue000(\\w+)\ue001")


@dataclass
class Draft:
    """A line to be, which later lines may still change; and why it is as it is."""

    kind: Kind
    why: str
    #: The magic of a step; else what sort of line it is: cd, stays, raises, deletes, note.
    word: str = ""
    words: Tuple[str, ...] = ()
    text: str = ""
    #: The folder that the kernel is in, and whether the line depends on it.
    cwd: Optional[str] = ""
    needs_cwd: bool = False
    #: What it makes or removes: a place, or the names of packages.
    subject: Tuple[str, ...] = ()

    def step(self) -> Step:
        """Return the step; `NotUnderstood` where the line cannot be recorded."""
        try:
            step = parse_step(self.word, list(self.words))
            text = render_verified(step) if step is not None else ""
        except input_errors() as error:
            raise NotUnderstood(str(error).split("\n")[0]) from None
        if step is None or is_expanded(text) or find(text) or SECRET_MARK.search(text):
            raise NotUnderstood("its line could not be recorded")
        return step

    def render(self) -> str:
        """Return the line."""
        return render_verified(self.step()) if self.kind == "step" else self.text


@dataclass(frozen=True)
class Versions:
    """The versions to write for packages that have none: those ``installed``, or of a ``day``."""

    installed: Mapping[str, str] = field(default_factory=dict)
    day: str = ""


@dataclass
class State:
    """What is known at a statement. Changes are taken back by `rollback`."""

    versions: Versions = field(default_factory=lambda: Versions())
    #: Texts that names have; names of secrets that names hold; names that say "this is Colab".
    values: Dict[str, str] = field(default_factory=dict)
    secrets: Dict[str, str] = field(default_factory=dict)
    #: Variables of the environment, likewise.
    variables: Dict[str, str] = field(default_factory=dict)
    flags: Set[str] = field(default_factory=set)
    #: Name -> how many statements of the notebook read it.
    readers: Dict[str, int] = field(default_factory=dict)
    #: Names that blocks of the statement have assigned so far.
    assigned: Set[str] = field(default_factory=set)
    #: What names are imported as: ``tf`` -> ``tensorflow``.
    imports: Dict[str, str] = field(default_factory=dict)
    #: The folder, as it is recorded; None: it is not known any more.
    cwd: Optional[str] = ""
    #: Whether a cell that stays where it is may depend on the folder.
    settled: bool = False
    #: Place -> the line that puts a file, a clone or a folder there.
    files: Dict[str, Draft] = field(default_factory=dict)
    clones: Dict[str, Draft] = field(default_factory=dict)
    folders: Dict[str, Draft] = field(default_factory=dict)
    #: Archives whose files a step unpacks.
    unpacked: Set[str] = field(default_factory=set)
    #: The lines of the statement that is read.
    drafts: List[Draft] = field(default_factory=list)
    removed: List[Draft] = field(default_factory=list)
    #: The folder in which the kernel is to be at the end; empty: nothing moves it.
    final: str = ""
    _log: List[Tuple[Any, str, Any]] = field(default_factory=list)

    # ------------------------------------------------------------------ changes that can be undone
    def set(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute of the state or of a draft, or an entry of a dictionary."""
        if isinstance(owner, dict):
            self._log.append((owner, name, owner.get(name)))
            owner[name] = value
        else:
            self._log.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)

    def forget_variables(self, names: AbstractSet[str]) -> None:
        """Note that variables of the environment may have another value by now."""
        for name in names & self.variables.keys():
            self.set(self.variables, name, None)

    def mark(self) -> Tuple[int, int]:
        """Return a point to go back to."""
        return len(self._log), len(self.drafts)

    def rollback(self, mark: Tuple[int, int]) -> None:
        """Take back all that was changed since."""
        while len(self._log) > mark[0]:
            owner, name, old = self._log.pop()
            if not isinstance(owner, dict):
                setattr(owner, name, old)
            elif old is None:
                owner.pop(name, None)
            else:
                owner[name] = old
        del self.drafts[mark[1] :]

    # ------------------------------------------------------------------ lines
    def add(self, word: str, words: Sequence[str], why: str = "") -> Draft:
        """Add a step; `NotUnderstood` where its line could not be recorded."""
        draft = Draft("step", why, word, tuple(words), cwd=self.cwd)
        draft.step()
        self.drafts.append(draft)
        return draft

    def add_line(self, text: str, *paths: str, why: str = "safe to run twice") -> Draft:
        """Add a line that changes nothing on a second run; ``paths`` are those that it names."""
        if has_controls(text) or is_expanded(text) or find(text) or SECRET_MARK.search(text):
            raise NotUnderstood("its line could not be recorded")
        relative = any(not path.startswith(("/", "~")) for path in paths)
        draft = Draft("line", why, text=text, cwd=self.cwd, needs_cwd=relative)
        self.drafts.append(draft)
        return draft

    def drop(self, why: str) -> Draft:
        """Say that a part of a statement is not needed."""
        draft = Draft("dropped", why, cwd=self.cwd)
        self.drafts.append(draft)
        return draft

    def amend(self, draft: Draft, *words: str) -> None:
        """Give a step other words; `NotUnderstood` where that line could not be recorded."""
        self.set(draft, "words", tuple(words))
        draft.step()

    def absorb(self, draft: Draft, why: str) -> None:
        """Drop a line that another one makes needless."""
        self.set(draft, "kind", "dropped")
        self.set(draft, "why", why)

    def absorb_removal(self, place: str, why: str) -> bool:
        """Drop the line that removes a place before something is put there, if there is one."""
        removals = [x for x in self.removed if x.subject == (place,) and x.kind == "line"]
        for draft in removals:
            self.absorb(draft, why)
        return bool(removals)

    def note_version(self, items: Sequence[str], index: str) -> None:
        """Note what ``torch.__version__`` is after an installation of an exact build."""
        build = re.search(r"/whl/(cu\d+|cpu)/?$", index)
        for item in items:
            name, equals, version = item.partition("==")
            if name == "torch":
                version += f"+{build[1]}" if build and "+" not in version else ""
                known = version if equals and "+" in version else None
                self.set(self.values, "torch.__version__", known)

    # ------------------------------------------------------------------ paths
    def place(self, path: str) -> str:
        """Return a path as it is recorded; a relative one counts from where the kernel is."""
        if SECRET_MARK.search(path) or any(char in path for char in "*?[$"):
            raise NotUnderstood("it names several files")
        on_drive = _DRIVE.fullmatch(path)
        if on_drive:
            rest = posixpath.normpath(on_drive[2]) if on_drive[2] else ""
            return f"drive:{rest}"
        if path.startswith(("~", "drive:")):
            return path.rstrip("/") or path
        if not path.startswith("/"):
            if self.cwd is None:
                raise NotUnderstood("its folder is not known here")
            path = posixpath.join(*filter(None, [_absolute(self.cwd), path]))
            if path.startswith("drive:"):
                rest = posixpath.normpath(path[6:].lstrip("/")) if path[6:] else ""
                if rest.startswith(".."):
                    raise NotUnderstood("its folder is not known here")
                return "drive:" + (rest if rest != "." else "")
        return _relative(posixpath.normpath(path))

    def folder(self, path: str) -> str:
        """Return a folder as a destination: empty for the start, else with a slash behind it."""
        place = self.place(path or ".")
        return "" if place == "." else place if place.endswith(":") else f"{place}/"

    def make(self, place: str) -> None:
        """Drop the lines that make a folder in which a step puts something."""
        above = {place, *_parents(place)}
        for name, draft in self.folders.items():
            if name.rstrip("/") in above and draft.kind == "line":
                self.absorb(draft, "the line that puts files there makes it")


def _absolute(place: str) -> str:
    return place if place.startswith(("drive:", "~", "/")) else posixpath.join(START, place)


def _relative(path: str) -> str:
    """Return an absolute path, or one below the start, as it is recorded."""
    path = re.sub("^//", "/", path)
    if path == START:
        return "."
    if path.startswith(f"{START}/"):
        rest = path[len(START) + 1 :]
        return f"./{rest}" if rest[0] in "-~" or ":" in rest.split("/")[0] else rest
    return path


def here(state: State) -> Optional[str]:
    """Return the folder that the kernel is in as a path of Colab."""
    if state.cwd is None:
        return None
    if state.cwd.startswith("drive:"):
        return posixpath.join(START, "drive/MyDrive", state.cwd[6:]).rstrip("/")
    return posixpath.normpath(_absolute(state.cwd))


def _parents(place: str) -> List[str]:
    parts = place.rstrip("/").split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]
