"""What is below a folder of a store: listed once, then kept up to date by what has changed.

Links and shortcuts are not followed: what they lead to is elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Dict, List, NamedTuple, Optional, Sequence

from ....core.errors import DriveError
from ....core.meter import Meter
from ....core.steps import Progress
from ..copy import Parts
from ..download import PART
from ..store import REASONS, Change, Entry, Store, join, refuse_name, same_name
from .plan import Tree


class Node(NamedTuple):
    """A file or folder, and the id of the folder that it is in."""

    parent: str
    entry: Entry


#: Id -> what it is. Of a shortcut it is its own.
Nodes = Dict[str, Node]


def list_nodes(
    store: Store, folders: Sequence[Entry], meter: Meter, progress: Progress, jobs: int
) -> Nodes:
    """Return all that is below some folders, which are listed several at once."""
    nodes: Nodes = {}
    level = list(folders)
    while level:
        progress(f"listing: {len(nodes)} files and folders so far" if nodes else "listing")
        work = [partial(_list_folder, store, folder) for folder in level]
        futures = meter.run_all(work, lambda line: None, jobs)
        above, level = level, []
        for folder, future in zip(above, futures):
            children = future.result()
            if children is None:
                old = nodes.get(folder.id)
                parent = old.parent if old else ""
                nodes[folder.id] = Node(parent, Entry(folder.id, folder.name, "unreadable"))
                continue
            for child in children:
                entry = child if not child.via else Entry(child.via, child.name, "other")
                nodes[entry.id] = Node(folder.id, entry)
                level += [entry] * (entry.kind == "folder")
    return nodes


def _list_folder(store: Store, folder: Entry) -> Optional[List[Entry]]:
    """Return what is in a folder; None where it cannot be read: it is not taken for empty."""
    with suppress(OSError):
        return store.list(folder)
    return None


def apply_changes(nodes: Nodes, root: Entry, changes: Sequence[Change]) -> List[Entry]:
    """Bring nodes up to date; return the folders whose content is not known yet.

    A folder that was moved to here from elsewhere is a single change.
    """
    new: Dict[str, Entry] = {}
    for change in changes:
        known = nodes.pop(change.id, None)
        entry = change.entry
        if entry is None or change.id == root.id:
            continue
        nodes[change.id] = Node(change.parent, entry)
        if entry.kind == "folder" and (known is None or known.entry.kind != "folder"):
            new[entry.id] = entry
    inside = reachable(nodes, root)
    for id in nodes.keys() - inside.keys():
        del nodes[id]
    return [entry for id, entry in new.items() if id in inside]


def reachable(nodes: Nodes, root: Entry) -> Nodes:
    """Return the nodes that are below a folder."""
    children: Dict[str, List[Node]] = {}
    for node in nodes.values():
        children.setdefault(node.parent, []).append(node)
    inside: Nodes = {}
    folders = [root.id]
    while folders:
        for node in children.pop(folders.pop(), ()):
            inside[node.entry.id] = node
            folders.append(node.entry.id)
    return inside


def build_tree(nodes: Nodes, root: Entry) -> Tree:
    """Return nodes by path; what has a bad name, or the name of another, is blocked with all below.

    `DriveError` where the folder itself cannot be read.
    """
    if root.id in nodes:
        raise DriveError(f"{root.name} cannot be read.", "Check it.", code="not-readable")
    children: Dict[str, Dict[str, List[Entry]]] = {}
    for node in nodes.values():
        names = children.setdefault(node.parent, {})
        names.setdefault(node.entry.name, []).append(node.entry)
    tree = Tree()
    folders: Dict[Parts, Entry] = {(): root}
    while folders:
        above, folder = folders.popitem()
        for name, entries in children.get(folder.id, {}).items():
            if name.endswith(PART):  # half received: a drive may have it from another machine
                continue
            path = (*above, name)
            reason = _reason_against(path, entries)
            if reason:
                tree.blocked[path] = reason
            elif entries[0].kind == "folder":
                tree.folders[path] = folders[path] = entries[0]
            else:
                tree.files[path] = entries[0]
    return tree


def _reason_against(path: Parts, entries: Sequence[Entry]) -> str:
    reason = refuse_name(path[-1]) or REASONS[entries[0].kind]
    if not reason and len(entries) > 1:
        return same_name(path, entries).message
    return f"{join(path)}: {reason}" if reason else ""
