"""Where an installed package came from, and what installs this one's very version elsewhere.

Source: PEP 610 (``direct_url.json``), which installers write for anything not from an index.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Dict, NamedTuple, Optional

from .._version import __version__

if TYPE_CHECKING:
    from .host import Host

#: What is asked of a server that does not answer is given up after so many seconds.
LIMIT = 5.0
#: An address that a line may name: no login, no query, and nothing that IPython or a shell expands.
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[\w.~+-]+)+/?", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
#: Against what the settings of a clone, or of the user, have git run.
_SAFE = tuple(
    word
    for setting in (f"core.hooksPath={os.devnull}", "core.fsmonitor=false", "credential.helper=")
    for word in ("-c", setting)
)


class Origin(NamedTuple):
    """What a ``direct_url.json`` says; ``url`` is empty where it does not follow PEP 610.

    ``vcs``, ``commit`` and ``revision`` (the one that was requested) are of a clone.
    """

    url: str = ""
    vcs: str = ""
    commit: str = ""
    revision: Optional[str] = None
    editable: bool = False

    @property
    def source(self) -> str:
        """The URL as a requirement names it: that of a clone at its commit."""
        return f"{self.vcs}+{self.url}@{self.commit}" if self.vcs else self.url

    @property
    def is_local(self) -> bool:
        """Whether it is of this machine, or of no known place."""
        return not self.url or self.url.startswith("file:")

    @property
    def folder(self) -> Path:
        """The folder that a ``file:`` URL names; installers quote the same path differently."""
        from urllib.parse import urlsplit
        from urllib.request import url2pathname

        return Path(url2pathname(urlsplit(self.url).path))


def parse_origin(text: Optional[str]) -> Optional[Origin]:
    """Read a ``direct_url.json``; None where there is none, since it came from an index."""
    if not text:
        return None
    try:
        record = json.loads(text)
        url, editable = str(record["url"]), bool(record.get("dir_info", {}).get("editable"))
        control = record.get("vcs_info")
        if not control:
            return Origin(url, editable=editable)
        vcs, commit = str(control["vcs"]), str(control["commit_id"])
        return Origin(url, vcs, commit, control.get("requested_revision"), editable)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Origin()


def read_origin(distribution: metadata.Distribution) -> Optional[Origin]:
    """Read where a distribution was installed from; None: from an index."""
    return parse_origin(distribution.read_text("direct_url.json"))


class Source(NamedTuple):
    """What ``pip install`` takes to install this package on another machine; empty: nothing.

    ``mount`` is where Colab has to mount its drive before, for a file on it.
    """

    text: str = ""
    mount: str = ""


def repository() -> str:
    """Return the address of this project's repository; empty where no metadata say it."""
    try:
        urls = metadata.metadata("colab-magics").get_all("Project-URL") or ()
    except metadata.PackageNotFoundError:
        return ""
    named: Dict[str, str] = dict(url.split(", ", 1) for url in urls)
    return named.get("Repository", "")


def portable_source(host: Optional[Host] = None) -> Source:
    """Return what installs this very version on another machine.

    From a clone on disk that is its ``origin``, if its server has the commit: that is asked once.
    Else the path, where it leads there from a notebook of this ``host`` after a wipe too.
    """
    origin = _own_origin()
    if origin is None:
        return Source(f"colab-magics~={__version__}")
    if not origin.is_local:
        return Source(origin.source)
    if not origin.folder.is_absolute():  # it would be looked for where the kernel stands
        return Source()
    try:
        published = _find_published(origin.folder, origin.commit)
        return Source(published) if published or host is None else _spell(origin.folder, host)
    except (OSError, ValueError):  # a full disk; a drive that is gone; another drive of Windows
        return Source()


def requirement() -> str:
    """Return what installs this very version on this machine."""
    folder, origin = _checkout(), _own_origin()
    if folder is not None:
        return str(folder)
    if origin is None:
        return f"colab-magics=={__version__}"
    return f"colab-magics @ {origin.source}" if origin.url else newest()


def newest() -> str:
    """Return what installs the newest version: a name only if this one came from an index.

    Anybody may register a name that is not ours.
    """
    origin = _own_origin()
    if origin is None:
        return "colab-magics"
    remote = origin.vcs and not origin.is_local
    address = f"{origin.vcs}+{origin.url}" if remote else f"git+{repository()}"
    return str(_checkout() or "") if address == "git+" else address


def _own_origin() -> Optional[Origin]:
    """Return where this package came from, without a password; None: from an index."""
    try:
        origin = read_origin(metadata.distribution("colab-magics"))
    except metadata.PackageNotFoundError:
        folder = _checkout()
        return Origin(folder.as_uri() if folder else "")
    # The user of ssh is no login.
    return origin and origin._replace(url=re.sub(r"://(?!git@)[^/@]+@", "://", origin.url))


def _checkout() -> Optional[Path]:
    """Return the folder of the sources that this code runs from, if it does."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() else None


# ---------------------------------------------------------------------- of a clone on disk
@lru_cache(None)
def _find_published(folder: Path, commit: str) -> str:
    """Return the ``origin`` of a clone at a commit (empty: HEAD), if anybody can fetch it there.

    Asked as a stranger would: without the settings and the logins of this user.
    """
    from .folders import scratch_folder

    # An empty prefix is not printed: it is the clone's own folder, not one of another project.
    head = _ask_git(folder, "rev-parse", "--show-prefix", "HEAD")
    url = _ask_git(folder, "config", "--get", "remote.origin.url")
    commit = commit or head
    if not (_SHA.fullmatch(head) and _SHA.fullmatch(commit) and _ADDRESS.fullmatch(url)):
        return ""
    scratch = scratch_folder("colab-magics-origin-")
    try:
        home = {"HOME": str(scratch), "XDG_CONFIG_HOME": str(scratch)}
        _ask_git(scratch, "init", "-q", "--bare", "--template=", ".", **home)
        words = ("--no-tags", "--depth=1", "--filter=tree:0", url, commit)
        _ask_git(scratch, "fetch", "-q", *words, **home)
        fetched = _ask_git(scratch, "rev-parse", "-q", "--verify", "FETCH_HEAD", **home)
        if not fetched:  # plain files behind http, which are cloned whole
            listed = _ask_git(scratch, "ls-remote", "-q", url, **home).split()
            fetched = commit if commit in listed else ""
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return f"git+{url}@{commit}" if fetched == commit else ""


def _ask_git(folder: Path, *words: str, **variables: str) -> str:
    """Return the line that git prints; empty where it fails, or does not answer in time."""
    from .process import run

    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment.update(GIT_TERMINAL_PROMPT="0", GIT_ASKPASS="", SSH_ASKPASS="", LC_ALL="C")
    environment.update(GIT_ALLOW_PROTOCOL="http:https", GIT_CONFIG_NOSYSTEM="1", **variables)
    command = [shutil.which("git") or "git", "-C", str(folder), *_SAFE, *words]
    try:
        done = run(command, environment, timeout=LIMIT)
    except OSError:  # not in time, or not there
        return ""
    return "" if done.status else "\n".join(done.lines)


# ---------------------------------------------------------------------- by its path
def _spell(path: Path, host: Host) -> Source:
    """Return the path from the start directory, if what it leads to survives with the notebook."""
    if not path.is_file() and not (path / "pyproject.toml").is_file():
        return Source()
    path = path.resolve()
    if host.ephemeral:
        return _spell_on_drive(path, host)
    notebook = host.context.notebook()
    start = host.start.resolve()
    for place in (start, *([notebook.resolve().parent] if notebook else ())):
        if place in (path, *path.parents) or path in place.parents:
            relative = Path(os.path.relpath(path, start)).as_posix()
            text = relative if relative.split("/")[0] in {".", ".."} else f"./{relative}"
            return Source(text + "/" * text.endswith("."))
    return Source()


def _spell_on_drive(path: Path, host: Host) -> Source:
    """Return the path of what is on the drive that Colab mounts; a wipe takes everything else."""
    root = host.places["drive"]() if host.colab else None
    if root is None or root.resolve() not in path.parents or not root.parent.is_mount():
        return Source()
    return Source(str(path), str(root.parent))
