"""The transfers of ``%drive`` against the double of Google Drive, in this process or in a child."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Union

from colab_magics.core.host import Host
from colab_magics.core.meter import Meter
from colab_magics.drive.transfer.api import Api
from colab_magics.drive.transfer.copy import Copy, Location, Result
from colab_magics.drive.transfer.places import is_on_drive, locate_here, locate_on_drive
from colab_magics.drive.transfer.rest import DriveStore
from colab_magics.drive.transfer.sync.plan import Limits
from colab_magics.drive.transfer.sync.run import Ends, Sync, SyncResult

from .cells import PACKAGE, TESTS


class Client:
    """Copies as ``%drive push`` and ``pull`` do: ``copy("data", "drive:x")``."""

    def __init__(self, url: str, token: Callable[[bool], str], jobs: int = 4) -> None:
        self.meter, self.jobs = Meter(), jobs
        self.api = Api(token, self.meter.stop, jobs, url)
        self.meter.wakers.append(self.api.wake)
        self.store = DriveStore(self.api)
        self.lines: List[Any] = []
        self.result = Result()

    def locate(self, text: str) -> Location:
        """What a typed path means."""
        if is_on_drive(text):
            return locate_on_drive(text, self.store)
        return locate_here(text, Host(start=Path.cwd()))

    def copy(
        self,
        *paths: Any,
        overwrite: bool = False,
        jobs: Optional[int] = None,
        formats: Optional[List[str]] = None,
    ) -> Result:
        """Copy to the last one; a source may be a name with a packed folder."""
        *sources, target = paths
        copy = Copy(self.locate(target), self.meter, overwrite, formats)
        self.result = copy.result
        named = [self.locate(x) if isinstance(x, str) else x for x in sources]
        return copy.run(named, self.lines.append, jobs or self.jobs)

    def make_sync(self, local: str, remote: str, deletes: bool = False) -> Sync:
        """A sync that is about to run."""
        ends = Ends(self.locate(local), self.locate(remote))
        return Sync(ends, Limits(deletes, 0.25), self.meter, self.lines.append, self.jobs)

    def sync(self, local: str, remote: str, deletes: bool = False) -> SyncResult:
        """Bring a folder here and one there in step."""
        return self.make_sync(local, remote, deletes).run()


def write(path: str, content: Union[int, bytes], seed: int = 0) -> bytes:
    """Write a file: these bytes, or so many random ones, the same for each seed."""
    data = content if isinstance(content, bytes) else random.Random(seed).randbytes(content)
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return data


def tree(folder: Path) -> Dict[str, bytes]:
    """The files below a folder, hidden ones too."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def hash_all(files: Dict[str, bytes]) -> Dict[str, str]:
    """Short enough to be shown."""
    return {name: hashlib.md5(data).hexdigest() for name, data in files.items()}


def start(*paths: str, url: str) -> subprocess.Popen[str]:
    """A child that is about to copy: it waits for a line."""
    from doubles.google_drive import TOKEN  # a child that copies needs nothing of the double

    seen = [str(TESTS)] if PACKAGE.name == "site-packages" else [str(TESTS), str(PACKAGE)]
    process = subprocess.Popen(
        [sys.executable, "-m", "support.drive_client", url, TOKEN, *paths],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(seen)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def main() -> None:
    """Copy what the arguments name, once a line has come: URL, token, paths.

    With ``sync`` before the paths, bring them in step.
    """
    from colab_magics.drive.transfer import retry, upload

    retry.PAUSE, upload.CHUNK = 0.01, 4 << 20
    url, token, *paths = sys.argv[1:]
    client = Client(url, lambda fresh: token)
    print("ready", flush=True)
    sys.stdin.readline()
    result: Any = client.sync(*paths[1:]) if paths[0] == "sync" else client.copy(*paths)
    print(result.copied, result.same, flush=True)


if __name__ == "__main__":
    main()
