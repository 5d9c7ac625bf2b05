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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / ".matrix"
#: Half of the time a test waits for a program, which leaves a processor to another one.
WORKERS = ("-n", str((os.cpu_count() or 1) + 2), "--dist", "worksteal")
#: Front ends need more of it; a file has one worker, whose servers all its tests share.
WINDOWS = ("-n", "2", "--dist", "loadfile")
BIN = "Scripts" if os.name == "nt" else "bin"


#: The tests of the packages that run cells on the server: each takes that over from the page, and
#: has versions of Jupyter's parts that the other cannot have.
SERVER_SIDE = "tests/browser/test_server_side.py"


class Version(NamedTuple):
    """One line of the matrix: Python versions to look for, best first, and what to hold fixed."""

    name: str
    pythons: Sequence[str]
    constraints: str = ""
    extras: str = "test"
    #: The only tests that run there; empty: all.
    tests: str = ""


MATRIX = (
    Version("newest", ("3.13", "3.12", "3.11"), extras="test,lint,lab,browser,docs,engines"),
    Version("colab", ("3.13",), constraints="tests/constraints-colab.txt"),
    Version("oldest", ("3.8",)),
    *(
        Version(name, ("3.13", "3.12", "3.11"), "", f"test,lab,{name}", SERVER_SIDE)
        for name in ("nbmodel", "documents")
    ),
)


class Failed(Exception):
    """A command of the run failed."""


def call(*command: object, env: Optional[Dict[str, str]] = None, late: bool = False) -> None:
    """Run a command to its end; `Failed` unless it succeeds.

    What it prints is shown as it comes, or ``late``, at its end, where others run at the same time.
    """
    words = [str(word) for word in command]
    if not late:
        print("$", *words, flush=True)
    out, errors = (subprocess.PIPE, subprocess.STDOUT) if late else (None, None)
    done = subprocess.run(words, env=env, cwd=ROOT, check=False, stdout=out, stderr=errors)
    if late:
        print("$", *words, "\n" + done.stdout.decode(errors="replace"), flush=True)
    if done.returncode:
        raise Failed(" ".join(words))


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
        call(*install, "--no-deps", *fixed)  # Colab leaves out jedi, which its ipython asks for
        call(*install, built)
        present = [*installed(python, uv), *(pin for pin in fixed if pin.startswith("parso=="))]
        lost = [pin for pin in fixed if pin not in present]  # jedi may ask for another parso
        if lost:
            raise Failed(f"installing the wheel changed what Colab ships: {', '.join(lost)}")
        call(*install, f"{built}[{version.extras}]", "-c", ROOT / version.constraints)
    else:
        call(*install, f"{built}[{version.extras}]")
    # It builds its grammars whenever nbformat is imported: two seconds of each server, kernel and
    # run, to check addresses that no notebook has. What uses it does without where it is missing.
    call(uv, "pip", "uninstall", "-q", "--python", python, "rfc3987-syntax")
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
    beside: List[List[object]] = []  # what has one process and may share the machine
    if version.tests:
        commands = [[*tests, version.tests, *long]]
    if "browser" in version.extras:  # alone: a busy machine makes front ends slow to answer
        commands += [[*tests, "tests/browser", *WINDOWS, *long]]
    if "lint" in version.extras:
        beside = [
            commands.pop(1),
            [folder / "mypy", "--python-executable", python],
            [folder / "ruff", "check", "."],
            [folder / "ruff", "format", "--check", "."],
            [folder / "lint-imports"],
            [python, "tests/types/check.py"],
        ]
        commands += [[python, "tests/benchmarks/table.py", "--only", "satisfied"]]
    failed: List[str] = []
    with tempfile.TemporaryDirectory(prefix="home-") as home:
        env = {**os.environ, "HOME": home, "COLAB_MAGICS_WHEEL": str(built)}
        env.pop("VIRTUAL_ENV", None)  # IPython warns of one that is active and not its own
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process compiles all that it imports
        env.update(PYTHONWARNINGS="", PYDEVD_DISABLE_FILE_VALIDATION="1")
        env["PYENV_ROOT"] = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
        env["COLAB_MAGICS_STRICT"] = "1" if options.strict else ""

        def run(command: Sequence[object], late: bool) -> None:
            try:
                call(*command, env=env, late=late)
            except Failed as error:
                failed.append(str(error))

        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(lambda command: run(command, True), beside))
        for command in commands:
            run(command, bool(version.tests))
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
    extra = ",ray" if options.long else ""  # which is large
    passed, failed, skipped = [], [], []
    wanted = [version for version in MATRIX if options.only in (None, version.name)]
    bases = {
        v: next((p for p in (python_for(x, uv) for x in v.pythons) if p), None) for v in wanted
    }

    def tried(version: Version) -> None:
        started = time.monotonic()
        if version not in made:
            skipped.append(f"{version.name}: no Python {' or '.join(version.pythons)} here")
            return
        try:
            python = made[version].result()
            print(f"\n===== {version.name} ({bases[version]})", flush=True)
            check(version, python, built, options)
            passed.append(f"{version.name} ({time.monotonic() - started:.0f} s)")
        except Failed as error:
            failed.append(f"{version.name}: {error}")

    with ThreadPoolExecutor(max_workers=1) as pool:  # the next one is made during the tests
        made = {
            v: pool.submit(environment, v._replace(extras=v.extras + extra), base, uv, built)
            for v, base in bases.items()
            if base
        }
        for version in wanted:
            if not version.tests:
                tried(version)
        with ThreadPoolExecutor(max_workers=2) as pairs:  # each has one worker
            list(pairs.map(tried, [version for version in wanted if version.tests]))
    print("\nversions passed:", ", ".join(passed) or "none")
    for line in skipped:
        print("SKIPPED, this interpreter is not on this machine:", line)
    for line in failed:
        print("FAILED:", line)
    print(f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
