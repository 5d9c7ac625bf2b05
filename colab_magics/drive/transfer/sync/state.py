"""How both sides were after the last sync: one file for each pair, in this user's state folder.

A file that cannot be read is as none: then nothing is deleted, and what differs is a conflict.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

from ....core import files
from ....core.controls import visible
from ....core.errors import DriveError
from ....core.file_lock import alone
from ....core.folders import hash_path, user_path
from ....core.ownership import make_private
from ..copy import Parts
from ..store import REASONS, Entry, refuse_name
from .plan import Pair, Version
from .tree import Node, Nodes

_VERSION = 1
_MD5 = re.compile(r"([0-9a-f]{32})?")


@dataclass
class State:
    """What is known of a pair; ``roots`` are the ids of both folders.

    ``token`` is where the changes of the remote side begin that are not in ``nodes``; empty where
    that side does not tell changes.
    """

    roots: List[str] = field(default_factory=list)
    pairs: Dict[Parts, Pair] = field(default_factory=dict)
    folders: Set[Parts] = field(default_factory=set)
    token: str = ""
    nodes: Nodes = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text of the file."""
        pairs = {"/".join(path): [*pair.local, *pair.remote] for path, pair in self.pairs.items()}
        nodes = {
            id: [node.parent, x.name, x.kind, x.size, x.mtime_ns, x.md5]
            for id, node in self.nodes.items()
            for x in (node.entry,)
        }
        values = {
            "version": _VERSION,
            "roots": self.roots,
            "pairs": pairs,
            "folders": sorted("/".join(path) for path in self.folders),
            "token": self.token,
            "nodes": nodes,
        }
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: bytes) -> State:
        """Return the state that a text holds; `ValueError` for anything else."""
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("version", None) != _VERSION:
            raise ValueError
        try:
            roots, pairs, folders, token, nodes = (
                _require(values[name], kind)
                for name, kind in (
                    ("roots", list),
                    ("pairs", dict),
                    ("folders", list),
                    ("token", str),
                    ("nodes", dict),
                )
            )
            return cls(
                [_require(x, str) for x in roots],
                {_read_path(path): _read_pair(x) for path, x in pairs.items()},
                {_read_path(path) for path in folders},
                token,
                {id: _read_node(id, x) for id, x in nodes.items()},
            )
        except (KeyError, TypeError):
            raise ValueError from None


class StateFile:
    """The file of a pair, which nobody else writes while it is held."""

    def __init__(self, path: Path) -> None:
        self._path, self._text = path, b""

    def load(self) -> State:
        """Return the state; an empty one where there is none, or none that can be read."""
        with suppress(OSError, ValueError):
            self._text = files.read_own(self._path)
            return State.from_json(self._text)
        return State()

    def save(self, state: State) -> None:
        """Put the state on disk, for this user alone, unless it is there."""
        text = state.to_json().encode()
        if text != self._text:
            files.save(self._path, text)
            self._text = text


@contextmanager
def hold(key: str, label: str) -> Iterator[StateFile]:
    """Yield the state file of a pair; `DriveError` while another process syncs the same pair."""
    folder = user_path("state", "sync")
    make_private(folder)
    path = folder / f"{hash_path(Path(key))}.json"

    def refuse(seconds: float) -> None:
        message = f"{visible(label)} are being synced already."
        raise DriveError(message, "Run it again when that has ended.", code="busy")

    with alone(path.with_suffix(".lock"), refuse):
        yield StateFile(path)


# ---------------------------------------------------------------------- reading strictly
def _require(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError
    return value


def _read_path(text: str) -> Parts:
    parts = tuple(_require(text, str).split("/"))
    if any(map(refuse_name, parts)):
        raise ValueError
    return parts


def _read_pair(values: Any) -> Pair:
    if len(_require(values, list)) != 6:
        raise ValueError
    return Pair(_read_version(*values[:3]), _read_version(*values[3:]))


def _read_version(size: Any, mtime_ns: Any, md5: Any) -> Version:
    if not _MD5.fullmatch(_require(md5, str)) or _require(size, int) < 0:
        raise ValueError
    return Version(size, _require(mtime_ns, int), md5)


def _read_node(id: str, values: Any) -> Node:
    parent, name, kind, size, mtime_ns, md5 = _require(values, list)
    version = _read_version(size, mtime_ns, md5)
    if kind not in REASONS:
        raise ValueError
    return Node(_require(parent, str), Entry(id, _require(name, str), kind, *version))
