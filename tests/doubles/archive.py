"""An archive of Debian packages in a folder, and a machine that has nothing but dpkg's database.

The real ``apt-get`` and ``dpkg`` work on it, told by ``APT_CONFIG`` and by a ``dpkg`` that stands
first on ``PATH``; nothing of the machine that the tests run on is read or changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

_CONFIG = """
APT::Architecture "{arch}";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "0";
Dir "{root}";
Dir::State "{root}/state";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Cache "{root}/cache";
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
Dir::Etc "{root}/etc";
Dir::Log "{root}/log";
Dir::Bin::Methods "/usr/lib/apt/methods";
Dir::Bin::dpkg "{root}/bin/dpkg";
"""


#: dpkg as apt and `%apt` find it: a repair calls it by its name, without what apt would tell it.
_DPKG = """#!/bin/sh
exec {dpkg} --root={root} --log={root}/log/dpkg.log --force-script-chrootless --force-not-root "$@"
"""


class Archive:
    """Packages that can be had, and where they are installed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder / "archive", folder / "root"
        self._index: List[str] = []
        folders = ["state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "log", "bin"]
        folders += [f"var/lib/dpkg/{name}" for name in ("updates", "info", "triggers")]
        for name in folders:
            (self.root / name).mkdir(parents=True)
        self.status = self.root / "var/lib/dpkg/status"
        self.status.write_text("")
        self.lists = self.root / "state/lists"
        self.folder.mkdir()
        (self.root / "etc/sources.list").write_text(f"deb [trusted=yes] copy:{self.folder} ./\n")
        arch = subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True)
        self.arch = arch.stdout.strip()
        (self.root / "apt.conf").write_text(_CONFIG.format(root=self.root, arch=self.arch))
        wrapper = self.root / "bin" / "dpkg"
        wrapper.write_text(_DPKG.format(root=self.root, dpkg=shutil.which("dpkg")))
        wrapper.chmod(0o755)

    @property
    def variables(self) -> Dict[str, str]:
        """What the programs are to find in their environment."""
        return {
            "APT_CONFIG": str(self.root / "apt.conf"),
            "PATH": os.pathsep.join([str(self.root / "bin"), os.environ["PATH"]]),
        }

    def add(
        self,
        name: str,
        version: str = "1.0",
        script: str = "",
        when: str = "postinst",
        **fields: str,
    ) -> None:
        """Offer a package; ``script`` runs as its ``postinst``, when it is set up, or ``when``."""
        made = self.folder / "made"
        (made / "DEBIAN").mkdir(parents=True)
        (made / "opt").mkdir()
        (made / "opt" / name).write_text(version)
        lines = [f"Package: {name}", f"Version: {version}", "Architecture: all"]
        lines += ["Maintainer: a <a@example.org>", "Description: x"]
        lines += [f"{key}: {value}" for key, value in fields.items()]
        (made / "DEBIAN" / "control").write_text("\n".join(lines) + "\n")
        if script:
            path = made / "DEBIAN" / when
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        file = self.folder / f"{name}_{version}.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-b", str(made), str(file)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        shutil.rmtree(made)
        data = file.read_bytes()
        lines += [f"Filename: ./{file.name}", f"Size: {len(data)}"]
        lines += [f"SHA256: {hashlib.sha256(data).hexdigest()}"]
        self._index.append("\n".join(lines) + "\n")
        (self.folder / "Packages").write_text("\n".join(self._index))

    def has(self, name: str) -> str:
        """The version whose files are there; empty where there are none."""
        path = self.root / "opt" / name
        return path.read_text() if path.exists() else ""
