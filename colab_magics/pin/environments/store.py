"""Environments of other Pythons, one for each notebook and version.

They live in the user's data directory. ``made.json`` is written last: what has none is
half-made, by a kill perhaps, and is made afresh. Nothing is removed unless it is asked for.

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


@dataclass(frozen=True)
class Environment:
    """One that is ready: its name, which its kernel bears too, and what it was made for.

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
        """Where it is."""
        return root() / self.name

    @property
    def interpreter(self) -> Path:
        """Its interpreter."""
        return interpreter_in(self.folder)

    @property
    def used(self) -> float:
        """When it was last asked for, in seconds since the epoch."""
        return (self.folder / "made.json").stat().st_mtime

    @property
    def size(self) -> int:
        """Bytes of its files; what is linked from a cache counts too."""
        found = 0
        for folder, _, files in os.walk(str(self.folder)):
            for file in files:
                with suppress(OSError):
                    found += os.lstat(f"{folder}{os.sep}{file}").st_size
        return found

    def keep(self) -> None:
        """Write down that it is ready; on disk whole or not at all."""
        if os.name != "nt":
            self.folder.chmod(0o700)  # uv makes it as the umask says
        save(self.folder / "made.json", json.dumps(asdict(self)))


def root() -> Path:
    """The folder of all environments; `NotOwn` where others could put theirs into it."""
    return user_path("data", "environments")


def interpreter_in(folder: Path) -> Path:
    """The interpreter of an environment in a folder."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def name_of(notebook: Path, version: str) -> str:
    """The name of a notebook's environment: readable, and another one in each folder."""
    stem = re.sub(r"[^a-z0-9]+", "-", notebook.stem.lower()).strip("-")[:40] or "notebook"
    where = zlib.crc32(str(notebook.absolute()).encode("utf-8", "replace"))
    return f"{stem}-{where:08x}-py{version}"


def find(name: str) -> Optional[Environment]:
    """The environment of this name if it is ready; None where its record is not one of ours."""
    from packaging.version import Version

    folder = root() / name
    with suppress(OSError, ValueError, TypeError, RecursionError):
        made = Environment(**json.loads(read_own(folder / "made.json")))
        texts = (made.python, made.notebook, str(Version(made.version)))
        sound = all(isinstance(text, str) for text in texts) and isinstance(made.made, float)
        if sound and made.name == name in _folders() and _is_ours(folder):
            return made
    return None


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can have put another program in the place of its interpreter.

    That may be a link to one of this user's, or of the system's.
    """
    python = interpreter_in(folder)
    own = all(is_own(one.lstat()) for one in (folder, python.parent, python))
    return own and not others_write(folder.lstat()) and is_trusted(python.stat())


def _folders() -> List[str]:
    """The names of all folders that lie directly in ours, ready or half-made; links are none."""
    place = root()
    with suppress(OSError):
        return sorted(one.name for one in os.scandir(place) if one.is_dir(follow_symlinks=False))
    return []


def listed() -> List[Environment]:
    """All that are ready, by name."""
    return [made for made in map(find, _folders()) if made]


def remove(name: str) -> bool:
    """Take an environment away, ready or half-made; whether there was one."""
    folder = root() / name
    if name not in _folders():  # what is typed may be a path, and lead anywhere
        return False
    with locked():
        with suppress(OSError):
            (folder / "made.json").unlink()  # from here on it is half-made
        shutil.rmtree(folder)
        return True


def locked() -> ContextManager[int]:
    """Alone with all of them; others wait."""
    return alone(root() / ".lock")


# ---------------------------------------------------------------------- kernelspecs
def kernel_folder(name: str) -> Path:
    """Where Jupyter looks for the kernel of this name, for this user."""
    from jupyter_core.paths import jupyter_data_dir

    return Path(jupyter_data_dir(), "kernels", name)


def named(found: Environment) -> None:
    """Have Jupyter offer it as a kernel, by its title."""
    start = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {
        "argv": [str(found.interpreter), *start],
        "display_name": found.title,
        "language": "python",
        "metadata": {"colab_magics": {"notebook": found.notebook}},
    }
    folder = kernel_folder(found.name)
    text = json.dumps(spec, indent=1)
    place = folder / "kernel.json"
    if place.exists() and place.read_text(encoding="utf-8") == text:
        return
    folder.mkdir(parents=True, exist_ok=True)
    save(place, text)


def unnamed(name: str) -> None:
    """Have Jupyter forget the kernel of this name, if it is one of ours."""
    place = kernel_folder(name) / "kernel.json"
    with suppress(OSError, ValueError):
        if "colab_magics" in json.loads(place.read_text(encoding="utf-8"))["metadata"]:
            shutil.rmtree(place.parent)
