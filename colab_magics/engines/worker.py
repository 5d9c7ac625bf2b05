"""What runs on a worker: it makes a set-up hold there, and says what it came to.

It is sent as text, so that a worker needs no colab_magics: what that needs (IPython, ipykernel)
would move what the engine itself runs on. So it imports nothing of ours, and beside the standard
library only ``packaging``, or pip's copy of it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from contextlib import contextmanager, suppress
from importlib import metadata, util
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set

#: Seconds for an installer, for each answer of a server, and for the driver of a GPU.
_INSTALL, _ANSWER, _DRIVER = 1800, 60, 15
#: What the engines run on: an install leaves their versions as they are.
_ENGINES = {
    *("cloudpickle", "dask", "distributed", "msgpack", "tblib", "zict"),
    *("ipykernel", "ipyparallel", "ipython", "pyzmq", "tornado", "traitlets", "ray"),
}


class Problem(Exception):
    """What does not hold: ``differs`` or ``failed``, a code, a reason, and a program's output."""


def apply(job: Dict[str, Any]) -> Dict[str, Any]:
    """Make a set-up hold in this process and its environment; raise nothing.

    Return ``state`` (``holds``, ``differs`` or ``failed``), ``code``, ``reason``, ``changed`` (what
    was done now), ``details`` (of an installer) and ``gpu``.
    """
    changed: List[str] = []
    problems: List[Any] = []
    gpus: List[str] = []
    parts: Sequence[Callable[[], Any]] = (
        lambda: changed.extend(_set(job["variables"])),
        lambda: changed.extend(_install(job["pins"], job["installs"])),
        lambda: _find_loaded(job["pins"] if job["installs"] else ()),
        lambda: changed.extend(path for each in job["files"] for path in _fetch(*each)),
        lambda: changed.extend(_set_secrets(job)),
        lambda: gpus.extend(_gpus(job["all_gpus"])),
        lambda: _check_gpus(job["gpus"], gpus),
    )
    with _locked():
        for part in parts:
            try:
                part()
            except Problem as problem:
                problems.append(problem.args)
            except Exception as error:  # its text may be anything: its kind says enough
                problems.append(("failed", "error", f"{type(error).__name__} on the worker", ""))
    problems.sort(key=lambda problem: problem[0] != "failed")
    state, code, _, details = problems[0] if problems else ("holds", "", "", "")
    reason = "; ".join(problem[2] for problem in problems)
    result = {"state": state, "code": code, "reason": reason, "details": details}
    return {**result, "changed": changed, "gpu": ", ".join(gpus)}


@contextmanager
def _locked() -> Iterator[None]:
    """Let the workers that share an environment in one after the other; not on Windows."""
    handle = -1
    with suppress(ImportError, OSError):
        import fcntl

        prefix = hashlib.sha256(sys.prefix.encode()).hexdigest()[:16]
        path = Path(tempfile.gettempdir(), f"colab-magics-{os.getuid()}-{prefix}.lock")
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle >= 0:
            os.close(handle)


# ---------------------------------------------------------------------- environment
def _set(variables: Dict[str, str]) -> List[str]:
    """Set variables; return the names of those that had another value."""
    names = [name for name, value in variables.items() if os.environ.get(name) != value]
    os.environ.update(variables)
    return names


def _set_secrets(job: Dict[str, Any]) -> List[str]:
    """Set the secrets that came with the engine's own message, or are in a private file."""
    data = zlib.decompress(job["secrets"]) if job["secrets"] else b"{}"
    with suppress(OSError):  # it is on another machine
        data = Path(job["secret_file"]).read_bytes() if job["secret_file"] else data
    names = _set(json.loads(data))
    missing = [name for name in job["secret_names"] if name not in os.environ]
    if missing:
        raise Problem("differs", "secret", f"not set there: {', '.join(missing)}", "")
    return names


# ---------------------------------------------------------------------- packages
def _install(pins: Sequence[Dict[str, Any]], installs: bool) -> List[str]:
    """Install the lines that do not hold; return what has changed, with its version."""
    missing = _missing(pins)
    if not missing:
        return []
    if not installs:
        raise Problem("differs", "not-installed", f"not there: {', '.join(missing)}", "")
    before = _versions()
    for pin in pins:
        if _missing([pin]):
            _run_installer(pin)
    missing = _missing(pins)
    if missing:
        raise Problem("failed", "install", f"not installed: {', '.join(missing)}", "")
    return [f"{name} {version}" for name, version in _versions().items() - before.items()]


def _needs(pins: Sequence[Dict[str, Any]]) -> List[str]:
    return [text.partition(" --hash=")[0] for pin in pins for text in pin["requirements"]]


def _missing(pins: Sequence[Dict[str, Any]]) -> List[str]:
    return [text for text in _needs(pins) if not _holds(text)]


def _run_installer(pin: Dict[str, Any]) -> None:
    """Run uv, or pip, of this interpreter."""
    keep = [f"{name}=={version}\n" for name, version in _versions().items() if name in _ENGINES]
    with tempfile.TemporaryDirectory() as folder:
        needs, kept = Path(folder, "requirements.txt"), Path(folder, "constraints.txt")
        needs.write_text("".join(f"{text}\n" for text in pin["requirements"]), encoding="utf-8")
        kept.write_text("".join(keep), encoding="utf-8")
        files = ["--requirement", str(needs), "--constraint", str(kept)]
        command = [*_installer(), "--quiet", *pin["options"], *files]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_INSTALL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Problem("failed", "install", "the installer took too long", "") from None
    importlib.invalidate_caches()
    if done.returncode:
        text = done.stdout.decode(errors="replace").strip().replace(folder, "")[-2000:]
        raise Problem("failed", "install", f"not installed: {', '.join(_needs([pin]))}", text)


def _installer() -> List[str]:
    uv = [sys.executable, "-m", "uv"] if util.find_spec("uv") else [shutil.which("uv") or ""]
    if uv[0]:
        return [*uv, "pip", "install", "--python", sys.executable]
    if util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    raise Problem("failed", "no-installer", "this worker has neither uv nor pip", "")


def _versions() -> Dict[str, str]:
    """Return the versions of what is installed; the first on the path is the one in use."""
    versions: Dict[str, str] = {}
    for part in metadata.distributions():
        name = str(part.metadata["Name"]).lower().replace("_", "-")
        versions.setdefault(name, part.version)
    return versions


def _requirement(text: str) -> Any:
    """Return a requirement, read by ``packaging`` or by pip's copy of it."""
    for name in ("packaging.requirements", "pip._vendor.packaging.requirements"):
        with suppress(ImportError):
            return importlib.import_module(name).Requirement(text)
    return None


def _holds(text: str, extra: str = "") -> bool:
    """Tell whether a requirement is there, and what its extras need."""
    need = _requirement(text)
    if need is None:  # nothing here can tell: the installer can
        return False
    if need.marker and not need.marker.evaluate({"extra": extra}):
        return True
    try:
        part = metadata.distribution(need.name)
    except metadata.PackageNotFoundError:
        return False
    if need.url and not _is_from(part, need.url):
        return False
    if not need.specifier.contains(part.version, prereleases=True):
        return False
    more = [text for text in part.requires or () if "extra" in text]
    return all(_holds(text, name) for name in need.extras for text in more)


def _is_from(part: Any, url: str) -> bool:
    """Tell whether a package was installed from a URL (PEP 610), at the commit that it names."""
    try:
        origin = json.loads(part.read_text("direct_url.json") or "")
    except ValueError:
        return False
    vcs = origin.get("vcs_info", {})
    revisions = {vcs.get("commit_id"), vcs.get("requested_revision")} - {None}
    is_revision = not vcs or any(f"@{name}" in url for name in revisions)
    return bool(origin.get("url")) and origin["url"] in url and is_revision


def _find_loaded(pins: Sequence[Dict[str, Any]]) -> None:
    """Raise `Problem` where this process has another version loaded than the one installed."""
    stale: Set[str] = set()
    for need in map(_requirement, _needs(pins)):
        with suppress(metadata.PackageNotFoundError, AttributeError):
            part = metadata.distribution(need.name)
            for name in {path.parts[0] for path in part.files or ()} & sys.modules.keys():
                version = getattr(sys.modules[name], "__version__", part.version)
                if str(version).partition("+")[0] != part.version.partition("+")[0]:
                    stale.add(f"{need.name} {version}")
    if stale:
        names = ", ".join(sorted(stale))
        raise Problem("differs", "restart", f"it has {names} loaded and must be restarted", "")


# ---------------------------------------------------------------------- files
def _fetch(url: str, place: str, sha256: str) -> List[str]:
    """Download a file where nothing is; one that is there is left as it is."""
    path = Path(place).expanduser()
    if path.exists():
        if sha256 and _digest(path) != sha256:
            raise Problem("differs", "file", f"{place} is there and is another file", "")
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=".colab-magics-")
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=_ANSWER) as data:
            shutil.copyfileobj(data, file)
        if sha256 and _digest(Path(name)) != sha256:
            raise Problem("failed", "hash", f"{place}: the server sent another file", "")
        Path(name).replace(path)
    except OSError as error:
        text = f"{place} cannot be downloaded: {type(error).__name__}"
        raise Problem("failed", "download", text, "") from None
    finally:
        with suppress(OSError):
            Path(name).unlink()
    return [place]


def _digest(path: Path) -> str:
    state = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            state.update(block)
    return state.hexdigest()


# ---------------------------------------------------------------------- GPUs
def _gpus(all_of_machine: bool) -> List[str]:
    """Return the names of the GPUs that this process can see, or that its machine has."""
    visible = None if all_of_machine else os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1") or not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    done = subprocess.run(
        [*query, *(["-i", visible] if visible else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_DRIVER,
        check=False,
    )
    names = done.stdout.decode(errors="replace").splitlines()
    return [name.strip() for name in names] if done.returncode == 0 else []


def _check_gpus(needs: Sequence[Sequence[Any]], gpus: Sequence[str]) -> None:
    """Raise `Problem` where a GPU that is required is not there."""
    for name, count in needs:
        words = name.lower().replace("-", " ").split()
        if sum(all(word in gpu.lower() for word in words) for gpu in gpus) < count:
            raise Problem("differs", "gpu", f"no {name or 'GPU'} is here, or too few", "")


# ---------------------------------------------------------------------- Dask
def make_plugin(job: Dict[str, Any]) -> Any:
    """Return a plugin that sets a worker up before its first task; it keeps the ``result``."""
    import asyncio

    from distributed.diagnostics.plugin import WorkerPlugin

    class Plugin(WorkerPlugin):  # type: ignore[misc]
        result: Optional[Dict[str, Any]] = None

        async def setup(self, worker: Any) -> None:
            """Set it up in a thread: the worker answers its scheduler meanwhile."""
            self.result = await asyncio.get_event_loop().run_in_executor(None, apply, job)

    return Plugin()


# ---------------------------------------------------------------------- Ray
#: What is left for the workers of a job: beside its functions, which go with it.
RAY_KEY = "FunctionsToRun:{}:colab_magics"


def set_up_ray() -> None:
    """Set a worker process up before its tasks; no task can be sent from here."""
    import ray
    from ray._private.ray_constants import KV_NAMESPACE_FUNCTION_TABLE
    from ray.experimental.internal_kv import _internal_kv_get

    key = RAY_KEY.format(ray.get_runtime_context().get_job_id())
    end = time.monotonic() + _ANSWER
    data = None
    while data is None and time.monotonic() < end:  # it may start before the driver has left it
        data = _internal_kv_get(key, namespace=KV_NAMESPACE_FUNCTION_TABLE)
        if data is None:
            time.sleep(0.1)
    if data is not None:  # else what is missing is told by the task that looks
        apply(pickle.loads(data))  # noqa: S301 - our own, as Ray's functions are
