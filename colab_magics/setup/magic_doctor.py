"""``setup doctor``: the probes, of a kernel or of the command line."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Optional, Sequence

import colab_magics

from ..core.display import amount
from ..core.errors import NotebookError
from ..core.host import Host
from ..core.process import run
from ..core.registry import load
from ..drive.providers import PROVIDERS, Provider, Request, default_mount_point
from ..drive.rclone.config import program as rclone
from ..drive.step import find_mounted
from ..gpu.devices import take_snapshot
from ..gpu.frameworks import describe_frameworks
from ..notebook.comm import absence, present
from ..notebook.document import Document
from ..notebook.locate import locate_notebook
from ..notebook.made_on import MadeOn, read_image
from ..notebook.metadata_keys import READERS
from ..notebook.servers import held_by
from ..pin.installer import INSTALLERS, Installer
from ..pin.pip_config import read_settings
from ..record.cell import Line, is_setup, parse
from ..session.machine import read_disks, read_memory
from .doctor import Diagnosis, Probe, diagnose
from .magic_status import body_lines

if TYPE_CHECKING:
    from ..extension.session import Session

_PACKAGES = (
    *("IPython", "ipykernel", "jupyter_client", "traitlets", "nbclient", "nbformat"),
    *("jupyterlab", "notebook", "jupyter_server", "jupyter_collaboration", "ipywidgets"),
)
#: What tells on which host this is.
_HOSTS = {
    "COLAB_RELEASE_TAG": "Colab",
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle",
    "BINDER_SERVICE_HOST": "Binder",
}


def examine(
    host: Host, session: Optional[Session] = None, notebook: Optional[Path] = None
) -> Diagnosis:
    """Find out what a bug report needs; of a kernel with its session, and of a notebook on disk."""
    probes = [*_versions(), *_host(host)]
    if session is not None:
        probes += _front_end(session)
    else:
        probes.append(Probe("front end", "runs in", lambda: "the command line"))
    probes += _notebook(notebook) if notebook is not None else []
    probes += [*_drive(host), *_installers(), *_machine(host)]
    return diagnose(probes, _read_secrets())


def _read_secrets() -> List[str]:
    """Return the words in pip's settings: what they say of an index is nobody's concern."""
    try:
        return [word for value in read_settings().values.values() for word in value.split()]
    except Exception:  # what cannot be read is shown by nothing
        return []


def _versions() -> Iterator[Probe]:
    place = Path(colab_magics.__file__).parent
    yield Probe("versions", "colab_magics", lambda: f"{colab_magics.__version__}, in {place}")
    implementation = f"{platform.python_version()} ({platform.python_implementation()})"
    yield Probe("versions", "Python", lambda: f"{implementation}, {sys.executable}")
    for name in _PACKAGES:
        yield Probe("versions", name, partial(_read_version, name))


def _read_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not in this environment"


def _host(host: Host) -> Iterator[Probe]:
    names = [name for variable, name in _HOSTS.items() if variable in os.environ]
    yield Probe("host", "host", lambda: ", ".join(names) or "no host that is known")
    yield Probe("host", "image", read_image)
    yield Probe("host", "system", platform.platform)


# ---------------------------------------------------------------------- the notebook
def _front_end(session: Session) -> Iterator[Probe]:
    host = session.host
    yield Probe("front end", "runs in", lambda: f"{session.site.kind}: {session.site.evidence}")
    yield Probe("front end", "asks a person", lambda: "yes" if host.person else "no")
    if session.site.kind == "jupyter":
        yield Probe("front end", "extension", partial(_describe_extension, host), asks_page=True)
    yield Probe("notebook", "known by", partial(_describe_evidence, session), asks_page=True)
    yield Probe("notebook", "lines", partial(_describe_lines, session), asks_page=True)
    yield Probe("notebook", "writer", partial(_describe_writer, session), asks_page=True)


def _describe_writer(session: Session) -> str:
    """Return the writer that is chosen, and why those before it are not."""
    writer, reasons = session.writers()
    others = [f"not {name}: {reason}" for name, reason in reasons]
    return "; ".join([writer.name if writer else "none: lines wait", *others])


def _describe_extension(host: Host) -> str:
    return "answers" if present(host) else absence(host)


def _describe_evidence(session: Session) -> str:
    """Return how the notebook is known, without its name, which is nobody's concern."""
    place = locate_notebook(session.host, session.site)
    return place.evidence or ("a file" if place.path else "not known")


def _describe_lines(session: Session) -> str:
    lines, source = session.lines()
    waiting = len(session.pending.steps)
    text = _count_kinds(lines or ()) or "none"
    return f"{text}{f', {source}' if source else ''}; {waiting} waiting"


def _count_kinds(lines: Sequence[Line]) -> str:
    """Return how many lines of each kind there are: ``pin 2``; ``code``: of the user's own."""
    kinds: Dict[str, int] = {}
    for line in body_lines(lines):
        kind = line.step.word if line.step else "code"
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{kind} {count}" for kind, count in kinds.items())


def _notebook(path: Path) -> Iterator[Probe]:
    yield Probe("notebook", "form", partial(_describe_form, path))
    yield Probe("notebook", "lines", partial(_describe_file, path))
    yield Probe("notebook", "lock", partial(_describe_value, path, "lock"))
    yield Probe("notebook", "made on", partial(_describe_value, path, "made_on"))
    yield Probe("notebook", "open", lambda: held_by(path) or "in no Jupyter server of this machine")


def _describe_form(path: Path) -> str:
    document = Document.load(path)
    size = amount(path.stat().st_size)
    return f"nbformat 4.{document.minor}, {len(document.heads)} cells, {size}"


def _describe_file(path: Path) -> str:
    text = Document.load(path).setup_text(is_setup)
    return "no setup cell" if text is None else _count_kinds(parse(text)) or "none"


def _describe_value(path: Path, name: str) -> str:
    text = READERS[name](Document.load(path).metadata)
    made = MadeOn.decode(text) if name == "made_on" else None
    if text is None or name == "lock":
        return "none" if text is None else f"{len(text)} characters"
    if made is None:
        raise NotebookError("it cannot be read")
    return made.describe()


# ---------------------------------------------------------------------- the machine
def _drive(host: Host) -> Iterator[Probe]:
    yield Probe("drive", "mounted", partial(_describe_drive, host))
    for name in PROVIDERS:
        yield Probe("drive", name, partial(_describe_provider, host, name))
    yield Probe("drive", "rclone itself", partial(_ask_version, rclone, "version"))


def _describe_drive(host: Host) -> str:
    mounted = find_mounted(host, host.mount_point or default_mount_point(host))
    return mounted[1].describe() if mounted else "none"


def _describe_provider(host: Host, name: str) -> str:
    provider: Provider = load(PROVIDERS[name])()
    return provider.available(host, Request(default_mount_point(host))) or "can be used"


def _installers() -> Iterator[Probe]:
    for target in INSTALLERS:
        installer: Installer = load(target)()
        yield Probe("installers", installer.name, partial(_describe_installer, installer))
    yield Probe("installers", "pip's settings", lambda: ", ".join(sorted(read_settings().values)))
    yield Probe("installers", "git", partial(_ask_version, partial(shutil.which, "git")))


def _describe_installer(installer: Installer) -> str:
    reason = installer.available(read_settings())
    if reason is not None:
        return f"not used: {reason}"
    command = installer.version_command()
    if command[0] == sys.executable:  # which would import from this folder, whoever filled it
        return _read_version(installer.name)
    return _first_line(command)


def _ask_version(find: Callable[[], Optional[str]], word: str = "--version") -> str:
    program = find()
    return "not here" if program is None else _first_line([program, word])


def _first_line(command: Sequence[str]) -> str:
    done = run(command, timeout=4)
    line = done.lines[0] if done.lines else ""
    return line if done.status == 0 else f"ended with {done.status}: {line}"


def _machine(host: Host) -> Iterator[Probe]:
    yield Probe("machine", "processors", lambda: os.cpu_count())
    yield Probe("machine", "memory", _describe_memory)
    for name, folder in (("disk here", host.cwd), ("disk of home", Path.home())):
        yield Probe("machine", name, partial(_describe_disk, folder))
    yield Probe("machine", "GPU", _describe_gpus)


def _describe_memory() -> str:
    memory = read_memory()
    return f"{amount(memory.used)} of {amount(memory.total)} used"


def _describe_disk(folder: Optional[Path]) -> str:
    disks = read_disks([folder] if folder else [])
    return f"{amount(disks[0].free)} of {amount(disks[0].total)} free" if disks else "not known"


def _describe_gpus() -> str:
    snapshot = take_snapshot()
    cards = [f"{gpu.name}, driver {gpu.driver}" for gpu in snapshot.gpus]
    lines = [*(cards or ["none"]), *snapshot.reasons, *describe_frameworks(snapshot.gpus)]
    return "; ".join(lines)
