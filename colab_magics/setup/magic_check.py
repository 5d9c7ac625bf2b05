"""``setup check``: the lines of a setup cell, and what the notebook has recorded beside them."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from ..core.errors import NotebookError
from ..core.host import Host
from ..core.steps import Change, ChangeState
from ..gpu.devices import take_snapshot
from ..gpu.format import list_names
from ..gpu.frameworks import FRAMEWORKS, find_problem
from ..gpu.model import Gpu
from ..notebook.made_on import NO_GPU, Difference, MadeOn, read_image
from ..pin.environment import canonical_name, versions
from ..pin.lock import OFF, Lock
from ..pin.requirements import requirement
from ..pin.step import PinStep
from ..record.cell import Line
from .check import RECORDED, Checkup, TimeBox, check_lines
from .magic_made_on import advise


class Recorded(NamedTuple):
    """What a notebook's metadata say: the lock, where it was made, the Python that saved it."""

    lock: Optional[str] = None
    made_on: Optional[str] = None
    language: str = ""


def check(lines: Sequence[Line], recorded: Recorded, host: Host) -> Checkup:
    """Check a setup cell; nothing of the notebook is executed, and nothing is changed."""
    box = TimeBox()
    checkup = check_lines(lines, host, box)
    changes = list(checkup.changes)
    lock, problem = _read_lock(recorded.lock)
    changes += [problem] if problem else []
    changes += _compare_places(recorded, lock, host)
    changes += _compare_packages(lines, lock)
    made = MadeOn.decode(recorded.made_on) or MadeOn()
    gpu = made.gpu if made.gpu != NO_GPU else ""  # where there was none, any will do
    if gpu or any(change.kind == "framework" for change in changes):
        changes = list(_compare_gpus(changes, gpu, host, box))
    return replace(checkup, changes=_sort(changes))


def _sort(changes: Sequence[Change]) -> Tuple[Change, ...]:
    """Return the changes by kind, each thing once: what a line has recorded comes first."""
    kinds = ("python", "image", "gpu", "framework", "package", "file", "upstream")
    first: Dict[Tuple[str, str], Change] = {}
    for change in changes:
        first.setdefault((change.kind, change.name), change)
    return tuple(sorted(first.values(), key=lambda change: kinds.index(change.kind)))


def _read_lock(text: Optional[str]) -> Tuple[Optional[Lock], Optional[Change]]:
    """Return the lock, or why it cannot be read."""
    try:
        return (Lock.decode(text) if text not in (None, OFF) else None), None
    except NotebookError as error:
        return None, Change("package", "lock", "", "", "unknown", error.message)


def _compare_places(recorded: Recorded, lock: Optional[Lock], host: Host) -> Iterator[Change]:
    """Yield the Python and the image that the notebook was made on, with what to do."""
    made = MadeOn.decode(recorded.made_on) or MadeOn()
    locked = MadeOn(str(lock.about["python"])).encode() if lock else ""
    python = made.python or (MadeOn.decode(locked) or MadeOn()).python or recorded.language
    if python:
        now = platform.python_version()
        moves = MadeOn(python).compare(MadeOn(now))  # patch releases do not count
        state: ChangeState = "differs" if moves else "same"
        yield Change("python", "Python", python, now, state, _advise(moves, host))
    if made.image:
        moves = MadeOn(image=made.image).compare(MadeOn(image=read_image()))
        yield Change.of("image", "image", made.image, read_image(), _advise(moves, host))


def _advise(differences: Sequence[Difference], host: Host) -> str:
    return "; ".join(filter(None, (advise(each, host) for each in differences)))


def _compare_packages(lines: Sequence[Line], lock: Optional[Lock]) -> Iterator[Change]:
    """Yield each framework, and of the lock's other packages those that differ."""
    installed, pinned = versions(), _pinned(lines)
    locked = lock.versions if lock else {}
    for name, recorded in {**pinned, **locked}.items():
        now = installed.get(name, "")
        if name in FRAMEWORKS:
            state: ChangeState = "same" if _is_same(recorded, now) else "differs"
            yield Change("framework", name, recorded, now, state)
        elif name in locked and now != recorded:
            yield Change.of("package", name, recorded, now)


def _is_same(recorded: str, version: str) -> bool:
    """Tell whether a version is the recorded one; ``2.8.0`` is also ``2.8.0+cu126``."""
    return version == recorded or version.partition("+")[0] == recorded


def _pinned(lines: Sequence[Line]) -> Dict[str, str]:
    """Return the versions that the lines name exactly, by canonical name."""
    pinned: Dict[str, str] = {}
    for line in lines:
        for text in line.step.requirements if isinstance(line.step, PinStep) else ():
            need = requirement(text)
            exact = [x.version for x in need.specifier if x.operator == "==" and "*" not in str(x)]
            pinned.update({canonical_name(need.name): version for version in exact})
    return pinned


def _compare_gpus(
    changes: Sequence[Change], recorded: str, host: Host, box: TimeBox
) -> Iterator[Change]:
    """Yield the changes, each framework with why it cannot use the GPU here; and the GPU."""
    try:
        gpus: Sequence[Gpu] = box.run(RECORDED, take_snapshot).gpus
    except TimeoutError as error:  # of a driver that hangs; it raises nothing
        yield from changes
        if recorded:
            yield Change("gpu", "GPU", recorded, "", "unknown", str(error))
        return
    for change in changes:
        is_judged = change.kind == "framework" and change.now and gpus
        yield replace(change, note=_judge(change.name, gpus, box)) if is_judged else change
    if recorded:
        now = list_names(gpus) if gpus else ""
        moves = MadeOn(gpu=recorded).compare(MadeOn(gpu=now or NO_GPU))
        yield Change.of("gpu", "GPU", recorded, now, _advise(moves, host))


def _judge(name: str, gpus: Sequence[Gpu], box: TimeBox) -> str:
    """Return why a framework cannot use these GPUs; empty where it can, or that is not known."""
    try:
        return str(box.run(RECORDED, lambda: find_problem(name, gpus)))
    except TimeoutError:
        return ""
