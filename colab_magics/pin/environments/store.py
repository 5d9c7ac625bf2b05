"""Environments of other Pythons, one for each notebook and version.

They are in the user's data folder. ``made.json`` is written last: an environment without one was
interrupted, and is made again. Nothing is removed unless the user asks.

Source: jupyter_client, "Making kernels for Jupyter: kernel specs".
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ContextManager, List, Optional

from ...core.file_lock import alone
from ...core.files import read_own, save
from ...core.folders import user_path
from ...core.ownership import is_own, is_trusted, others_write
from .interpreters import KERNEL_OPTIONS


@dataclass(frozen=True)
class Environment:
    """An environment: its name, which is its kernel's too, and what it was made for.

    ``version`` is that of the colab_magics in it.
    """

    name: str
    python: str
    notebook: str
    made: float
    version: str = "0"

    @property
    def title(self) -> str:
        """What front ends call its kernel."""
        return f"{Path(self.notebook).stem} (Python {self.python})"

    @property
    def folder(self) -> Path:
        """Its folder."""
        return root() / self.name

    @property
    def interpreter(self) -> Path:
        """Its interpreter."""
        return interpreter_in(self.folder)

    @property
    def used(self) -> float:
        """When it was last used, in seconds since the epoch."""
        return (self.folder / "made.json").stat().st_mtime

    @property
    def size(self) -> int:
        """Bytes of its files; what is linked from a cache counts too."""
        size = 0
        for folder, _, files in os.walk(str(self.folder)):
            for file in files:
                with suppress(OSError):
                    size += os.lstat(f"{folder}{os.sep}{file}").st_size
        return size

    def save(self) -> None:
        """Save that it is ready."""
        if os.name != "nt":
            self.folder.chmod(0o700)  # uv makes it as the umask says
        save(self.folder / "made.json", json.dumps(asdict(self)))


def root() -> Path:
    """Return the folder of all environments; `NotOwn` if others can write it."""
    return user_path("data", "environments")


def interpreter_in(folder: Path) -> Path:
    """Return the interpreter of an environment in a folder."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def name_of(notebook: Path, version: str) -> str:
    """Return the name of a notebook's environment: readable, and different in each folder."""
    stem = re.sub(r"[^a-z0-9]+", "-", notebook.stem.lower()).strip("-")[:40] or "notebook"
    checksum = zlib.crc32(str(notebook.absolute()).encode("utf-8", "replace"))
    return f"{stem}-{checksum:08x}-py{version}"


def find(name: str) -> Optional[Environment]:
    """Return the environment of this name; None if it is not ready, or its record is not ours."""
    from packaging.version import Version

    place = root()  # its `NotOwn` is an OSError too, and is not suppressed
    with suppress(OSError, ValueError, TypeError, RecursionError):
        made = Environment(**json.loads(read_own(place / name / "made.json")))
        texts = (made.python, made.notebook, str(Version(made.version)))
        valid = all(isinstance(text, str) for text in texts) and isinstance(made.made, float)
        if valid and made.name == name in _folders() and _is_ours(made):
            return made
    return None


def _is_ours(environment: Environment) -> bool:
    """Return whether nobody else can have replaced the interpreter.

    It may be a link to another one of this user's, or of the system's.
    """
    folder, python = environment.folder, environment.interpreter
    own = all(is_own(path.lstat()) for path in (folder, python.parent, python))
    return own and not others_write(folder.lstat()) and is_trusted(python.stat())


def _folders() -> List[str]:
    """Return the names of the folders directly in ours, ready or not; no links."""
    place = root()
    with suppress(OSError):
        return sorted(x.name for x in os.scandir(place) if x.is_dir(follow_symlinks=False))
    return []


def find_all() -> List[Environment]:
    """Return all that are ready, by name."""
    return [made for made in map(find, _folders()) if made]


def remove(name: str) -> bool:
    """Remove an environment, ready or not, and its kernel; return whether there was one."""
    folder = root() / name
    if name not in _folders():  # the name may be a path that leads anywhere
        return False
    with locked():
        with suppress(OSError):
            (folder / "made.json").unlink()  # from here on it is not ready
        shutil.rmtree(folder)
    kernel = _kernel_folder(name)
    with suppress(OSError, ValueError, LookupError, TypeError):
        if "colab_magics" in json.loads((kernel / "kernel.json").read_text("utf-8"))["metadata"]:
            shutil.rmtree(kernel)
    return True


def locked() -> ContextManager[int]:
    """Hold the lock of all environments; others wait."""
    return alone(root() / ".lock")


def register_kernel(environment: Environment) -> None:
    """Have Jupyter offer an environment as a kernel."""
    start = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {
        "argv": [str(environment.interpreter), *start, *KERNEL_OPTIONS],
        "display_name": environment.title,
        "language": "python",
        "metadata": {"colab_magics": {"notebook": environment.notebook}},
    }
    folder, text = _kernel_folder(environment.name), json.dumps(spec, indent=1)
    place = folder / "kernel.json"
    if place.exists() and place.read_text(encoding="utf-8") == text:
        return
    folder.mkdir(parents=True, exist_ok=True)
    save(place, text)


def _kernel_folder(name: str) -> Path:
    """Return where Jupyter has the kernel of this name, for this user."""
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir(), "kernels", name)
