#!/usr/bin/env python3
"""All tests, in every version that the project promises: ``python3 tests/run.py``.

Needs Python 3.8 or later with venv, and git; everything else is put into ``.matrix/``. Builds the
wheel, installs it into an environment for each version, and there runs the tests and, by nbval,
the notebooks. Lint, types and import rules are checked once, in the newest.

Everything runs in the newest version; in the others what depends on the version, and one test of
each other part. ``--long`` runs all rounds of the long tests, in every version. ``--only NAME``
runs one version.

A version whose interpreter is not on this machine is skipped and named in the last lines. With
``--strict`` a part that could have been installed and is missing is a failure.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / ".matrix"
#: Half of the time a test waits for a program, which leaves a processor to another one.
WORKERS = ("-n", str((os.cpu_count() or 1) + 2), "--dist", "worksteal")
#: Front ends need more of it; a file has one worker, whose servers all its tests share.
WINDOWS = ("-n", "2", "--dist", "loadfile")
BIN = "Scripts" if os.name == "nt" else "bin"


class Version(NamedTuple):
    """One line of the matrix: Python versions to look for, best first, and what to hold fixed."""

    name: str
    pythons: Sequence[str]
    constraints: str = ""
    extras: str = "test"


MATRIX = (
    Version("newest", ("3.13", "3.12", "3.11"), extras="test,lint,lab,browser"),
    Version("colab", ("3.13",), constraints="tests/constraints-colab.txt"),
    Version("oldest", ("3.8",)),
)


class Failed(Exception):
    """A command of the run failed."""


def call(*command: object, env: Optional[Dict[str, str]] = None, cwd: Path = ROOT) -> None:
    """Run a command to its end; `Failed` unless it succeeds."""
    print("$", *command, flush=True)
    if subprocess.run([str(c) for c in command], env=env, cwd=cwd, check=False).returncode:
        raise Failed(" ".join(map(str, command)))


def python_for(version: str, uv: Path) -> Optional[Path]:
    """An interpreter of this version that runs: on PATH, of pyenv, or managed by uv."""
    names = [f"python{version}", f"python{version}.exe"]
    places = [Path(folder, name) for folder in os.get_exec_path() for name in names]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    places += [path / "bin" / "python" for path in sorted(pyenv.glob(f"{version}.*"))]
    found = subprocess.run(
        [str(uv), "python", "find", "--no-project", "--python-preference", "only-managed", version],
        capture_output=True,
        text=True,
        check=False,
    )
    places += [Path(found.stdout.strip())] if found.returncode == 0 else []
    test = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for place in places:
        if "shims" in place.parts or not place.exists():
            continue  # pyenv's shims stand for whichever version is chosen elsewhere
        said = subprocess.run([str(place), "-c", test], capture_output=True, text=True, check=False)
        if said.stdout.strip() == version:
            return place
    return None


def tools() -> Path:
    """uv, in an environment of its own."""
    folder = HERE / "tools"
    uv = folder / BIN / "uv"
    if not uv.exists():
        call(sys.executable, "-m", "venv", "--clear", folder)
        call(folder / BIN / "python", "-m", "pip", "install", "-q", "uv")
    return uv


def wheel(uv: Path) -> Path:
    """The wheel of this checkout."""
    shutil.rmtree(HERE / "dist", ignore_errors=True)
    call(uv, "build", "-q", "--wheel", "--out-dir", HERE / "dist", ROOT)
    return next((HERE / "dist").glob("*.whl"))


def installed(python: Path, uv: Path) -> List[str]:
    """What ``uv pip freeze`` says of an environment."""
    command = [str(uv), "pip", "freeze", "--python", str(python)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def environment(version: Version, base: Path, uv: Path, built: Path) -> Path:
    """A fresh environment with the wheel in it; returns its interpreter.

    What is held fixed stands there first, and the wheel alone, then what the tests need, are
    installed on top: neither may change it.
    """
    folder = HERE / version.name
    call(uv, "venv", "-q", "--clear", "--seed", "--python", base, folder)
    python = folder / BIN / "python"
    install = [uv, "pip", "install", "-q", "--python", python]
    if version.constraints:
        fixed = [
            line for line in (ROOT / version.constraints).read_text().split("\n") if "==" in line
        ]
        call(*install, *fixed)
        call(*install, built)
        lost = [pin for pin in fixed if pin not in installed(python, uv)]
        if lost:
            raise Failed(f"installing the wheel changed what Colab ships: {', '.join(lost)}")
        call(*install, f"{built}[{version.extras}]", "-c", ROOT / version.constraints)
    else:
        call(*install, f"{built}[{version.extras}]")
    return python


def check(version: Version, python: Path, built: Path, options: argparse.Namespace) -> None:
    """Everything that is to hold in one environment; one failure does not hide the next."""
    folder = python.parent
    tests = [folder / "pytest", "-q", "-p", "no:cacheprovider"]
    long = ["--long"] if options.long else []
    once = [] if options.long or "lint" in version.extras else ["-m", "not once"]
    # The command, not `python -m pytest`: that would import the checkout, not the wheel.
    commands = [
        [*tests, "tests", "--ignore=tests/browser", *WORKERS, *once, *long],
        [*tests, "notebooks", "--nbval", "--nbval-current-env", "--nbval-sanitize-with=setup.cfg"],
    ]
    if "browser" in version.extras:  # alone: a busy machine makes front ends slow to answer
        commands += [[*tests, "tests/browser", *WINDOWS, *long]]
    if "lint" in version.extras:
        commands += [
            [folder / "ruff", "check", "."],
            [folder / "ruff", "format", "--check", "."],
            [folder / "mypy", "--python-executable", python],
            [folder / "lint-imports"],
            [python, "tests/types/check.py"],
            [python, "tests/benchmarks/satisfied.py"],
        ]
    failed = []
    with tempfile.TemporaryDirectory(prefix="home-") as home:
        env = {**os.environ, "HOME": home, "COLAB_MAGICS_WHEEL": str(built)}
        env.pop("VIRTUAL_ENV", None)  # IPython warns of one that is active and not its own
        env.update(PYTHONWARNINGS="", PYDEVD_DISABLE_FILE_VALIDATION="1")
        env["PYENV_ROOT"] = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
        env["COLAB_MAGICS_STRICT"] = "1" if options.strict else ""
        for command in commands:
            try:
                call(*command, env=env)
            except Failed as error:
                failed.append(str(error))
    if failed:
        raise Failed("; ".join(failed))


def main() -> int:
    """Run the matrix; 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", choices=[version.name for version in MATRIX])
    options = parser.parse_args()
    uv = tools()
    built = wheel(uv)
    passed, failed, skipped = [], [], []
    for version in MATRIX:
        if options.only not in (None, version.name):
            continue
        started = time.monotonic()
        base = next((p for p in (python_for(v, uv) for v in version.pythons) if p), None)
        if base is None:
            skipped.append(f"{version.name}: no Python {' or '.join(version.pythons)} here")
            continue
        print(f"\n===== {version.name} ({base})", flush=True)
        try:
            check(version, environment(version, base, uv, built), built, options)
            passed.append(f"{version.name} ({time.monotonic() - started:.0f} s)")
        except Failed as error:
            failed.append(f"{version.name}: {error}")
    print("\nversions passed:", ", ".join(passed) or "none")
    for line in skipped:
        print("SKIPPED, this interpreter is not on this machine:", line)
    for line in failed:
        print("FAILED:", line)
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
