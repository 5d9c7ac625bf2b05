"""Read a setup cell as the data that it is exported from."""

from __future__ import annotations

import re
import sys
from itertools import groupby
from typing import Any, Iterator, Sequence

from ..apt.step import AptStep
from ..cd_persist.step import DirectoryStep
from ..core.controls import visible
from ..core.errors import NotebookError, input_errors
from ..core.host import Host
from ..core.origin import requirement as own_requirement
from ..core.redact import redact
from ..core.secret_scan import assigned, find
from ..drive.step import DriveStep
from ..env_persist.step import EnvironmentStep
from ..export import recipe as kinds
from ..export.recipe import Place, Recipe
from ..fetch.step import FetchStep
from ..fetch.urls import read_url
from ..github.step import CloneStep
from ..gpu.step import GpuRequire
from ..notebook.made_on import MadeOn
from ..pin.lock import OFF, Lock
from ..pin.requirements import carries_secret
from ..pin.step import PinStep
from ..record.cell import Line, brief, is_expanded
from ..secret.step import SecretStep
from .magic_check import Recorded

#: What makes a setup cell, and installs and loads this package.
_HEAD = re.compile(
    r"\A(#.*\n?)+|^try:\n    import colab_magics\nexcept ModuleNotFoundError:\n(    .*\n?)+"
    r"|^%(re)?load_ext colab_magics[ \t]*$|^%pip install .*colab[-_.]magics\S*$",
    re.MULTILINE,
)
#: Words of a GPU's name that say nothing.
_MAKERS = ("nvidia", "tesla", "geforce")


class _NotData(Exception):
    """A line that no format can have as data: a code, and why."""


class Reading:
    """Reads the lines of a setup cell into items."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._has_moved = False

    def items(self, lines: Sequence[Line]) -> Iterator[Any]:
        """Yield the items of each line in their order; code of the user's own as one."""
        for is_code, group in groupby(lines, lambda line: not (line.step or line.problem)):
            if is_code:
                yield from _code("\n".join(line.text for line in group))
            else:
                yield from (item for line in group for item in self._items(line))

    def _items(self, line: Line) -> Iterator[Any]:
        shown = redact(brief(line.text[: len(line.text) - len(line.comment)]).strip())
        try:
            if line.step is None:
                raise _NotData("unreadable", line.problem)
            if find(line.text):
                raise _NotData("secret", "a password or a token is in it")
            if is_expanded(line.text):
                raise _NotData("expanded", "IPython puts values into it when it runs")
            is_fetch = line.step.word == "fetch"  # which has several files on a line
            for step in line.step.parts() if is_fetch else (line.step,):
                yield self._item(shown, step)
        except _NotData as error:
            yield kinds.Unknown(shown, *error.args)
        except ValueError as error:
            yield kinds.Unknown(shown, "unsafe", str(error))
        except input_errors() as error:
            yield kinds.Unknown(shown, str(getattr(error, "code", "")), str(error).split("\n")[0])

    def _item(self, line: str, step: Any) -> Any:
        if isinstance(step, PinStep):
            return self._pins(line, step)
        if isinstance(step, FetchStep):
            return self._download(line, step)
        if isinstance(step, CloneStep):
            return self._clone(line, step)
        if isinstance(step, AptStep):
            return kinds.Apt(line, step.packages)
        if isinstance(step, SecretStep):
            return kinds.Secrets(line, step.names)
        if isinstance(step, DriveStep):
            return kinds.Drive(line)
        if isinstance(step, EnvironmentStep):
            names, values = zip(*step.variables)
            values = tuple(map(self._place, values)) if step.mode else values
            return kinds.Variables(line, names, values, step.mode)
        if isinstance(step, GpuRequire):
            words = [word for word in step.name if word.lower() not in _MAKERS]
            more = step.arguments()[1 + len(step.name) :]
            more = more[2 * (step.count > 1) :]
            return kinds.Gpu(line, "-".join(words), step.count, " ".join(more))
        if isinstance(step, DirectoryStep):
            item = kinds.Directory(line, self._place(step.path), step.make)
            self._has_moved = True
            return item
        is_own = step.word in ("gpu", "setup")
        reason = "it is about this notebook alone" if is_own else "no format knows such a line"
        raise _NotData("not-held", reason)

    def _place(self, text: str) -> Place:
        """Return a path that means the same on another machine."""
        prefix, colon, _ = text.partition(":")
        if colon and prefix in self._host.places:
            raise _NotData("on-drive", "it is on the drive: copy it beside the notebook")
        if self._has_moved and text[:1] not in ("/", "~"):
            raise _NotData("after-cd", "its path counts from the start: move it above %cd_persist")
        return Place(text)

    def _pins(self, line: str, step: PinStep) -> Any:
        needs = step.needs(self._host)
        if needs.lines:
            raise _NotData("file-option", "its file has options: put them on the line")
        options = step.options.spelled(self._place).pairs
        if any(map(carries_secret, [*needs.texts, *(value for _, value in options)])):
            raise _NotData("secret", "a password or a token is in it")
        folders = tuple(map(self._place, step.folders))
        return kinds.Pins(line, tuple(needs.texts), folders, options)

    def _download(self, line: str, step: FetchStep) -> Any:
        request = read_url(step.url)
        if step.token:
            raise _NotData("login", f"it takes a login by {step.token}")
        if step.unpack:
            raise _NotData("unpack", "it is unpacked: download it there yourself")
        if not request.url.startswith(("http://", "https://")) or request.page or request.several:
            raise _NotData("not-web", "it is not a file of the web")
        return kinds.Download(line, request.url, self._place(step.label()), step.sha256)

    def _clone(self, line: str, step: CloneStep) -> Any:
        if step.token or step.lfs:
            reason = f"it takes a login by {step.token}" if step.token else "it takes git-lfs"
            raise _NotData("login" if step.token else "lfs", reason)
        folder, revision = self._place(step.label), step.commit or step.ref
        return kinds.Clone(line, step.address.url, folder, revision, step.submodules)


def _code(text: str) -> Iterator[Any]:
    """Yield the user's own code, without what makes a setup cell."""
    text = _HEAD.sub("", text).strip("\n")
    rows = [row for row in text.split("\n") if row.strip() and not row.lstrip().startswith("#")]
    if not rows:
        return
    shown = redact(rows[0]) + (f" ... ({len(rows)} lines)" if rows[1:] else "")
    if find(text) or assigned(text):
        yield kinds.Unknown(shown, "secret", "a password or a token may be in it")
    elif visible(text) != text:
        yield kinds.Unknown(shown, "unsafe", "an invisible character is in it")
    else:
        yield kinds.Code(shown, text)


def make_recipe(name: str, lines: Sequence[Line], recorded: Recorded, host: Host) -> Recipe:
    """Return what a setup cell sets up; nothing is executed."""
    try:
        lock = Lock.decode(recorded.lock) if recorded.lock not in (None, OFF) else None
    except NotebookError:
        lock = None
    steps = [line.step for line in lines if isinstance(line.step, PinStep)]
    made = (MadeOn.decode(recorded.made_on) or MadeOn()).python
    versions = [*(step.python for step in steps if step.python), made]
    versions += [str(lock.about["python"]) if lock else "", recorded.language]
    version = next(filter(None, versions), "{}.{}".format(*sys.version_info))
    return Recipe(
        re.sub(r"[^A-Za-z0-9_.-]+|^[^A-Za-z0-9]+", "-", name).strip("-") or "notebook",
        tuple(Reading(host).items(lines)),
        ".".join(version.split(".")[:2]),
        lock.text() if lock else "",
        tuple(lock.versions.items()) if lock else (),
        own_requirement(),
    )
