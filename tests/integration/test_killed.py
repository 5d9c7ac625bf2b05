"""An installation that is killed at any moment: the next ``%pin`` makes everything whole."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import pytest
from doubles.many import Many, damage, imports, leftovers
from support.machine import Machine

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name != "posix", reason="elsewhere: kills a group of processes"),
]

#: What a kernel does with ``%pin``, without a shell around it.
_PIN = """\
import sys
from pathlib import Path
from colab_magics.core.host import Host
from colab_magics.pin.step import PinStep
from colab_magics.core.steps import apply_step
import packaging.requirements, packaging.utils, colab_magics.pin.install
print("ready", flush=True)
sys.stdin.readline()
outcome = apply_step(PinStep(tuple(sys.argv[1:])), Host(start=Path.cwd()), lambda text: None)
print(outcome.message)
print(outcome.hint)
"""


class Environment(NamedTuple):
    """A machine, its site-packages, and the requirements for ten packages in two versions."""

    machine: Machine
    site: Path
    variables: Dict[str, str]
    one: List[str]
    two: List[str]

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A process in a session of its own."""
        return subprocess.Popen(
            command,
            env=self.variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def begin(self, texts: List[str]) -> subprocess.Popen[str]:
        """A process that is about to pin: it waits for a line."""
        process = self.start(str(self.machine.python), "-c", _PIN, *texts)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def pin(self, texts: List[str]) -> str:
        """What a pin said."""
        said, error = self.begin(texts).communicate("\n", timeout=120)
        assert said, error
        return said

    def bare(self, texts: List[str]) -> subprocess.Popen[str]:
        """The same by uv alone."""
        uv = shutil.which("uv", path=self.variables["PATH"])
        assert uv is not None
        command = [uv, "pip", "install", "--python", str(self.machine.python)]
        index = ["--no-index", "--find-links", self.variables["PIP_FIND_LINKS"]]
        return self.start(*command, *index, *texts)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of uv for all the tests: only what is put in place is to be cut."""
    return tmp_path_factory.mktemp("cache")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """With ``--long`` all is done by pip too."""
    both = ["uv", "pip"] if metafunc.config.getoption("--long") else ["uv"]
    metafunc.parametrize("installer", both)


@pytest.fixture
def environment(tmp_path: Path, many: Many, cache: Path, installer: str) -> Environment:
    """An environment with the ten in their first version; the second is in uv's cache."""
    machine = Machine.make(tmp_path / "environment", tmp_path / "machine", "")
    variables = {**machine.variables, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(many.wheels)}
    del variables["PIP_INDEX_URL"]
    # Copies take longer than links and can be cut within a file; other file systems need them.
    variables.update(UV_LINK_MODE="copy", UV_CACHE_DIR=str(cache))
    variables.update({"PIP_SRC": "src"} if installer == "pip" else {})  # uv has no such setting
    site = next((tmp_path / "environment").rglob("site-packages"))
    made = Environment(machine, site, variables, many.one, many.two)
    if not any(cache.iterdir()):
        made.pin(many.two)
    made.pin(many.one)
    return made


def by_hand(site: Path) -> Dict[str, float]:
    """What somebody else has put there, and when; it is put there where it is not."""
    for name in ("foreign-1.dist-info/METADATA", "foreign.py", "manya/foreign.py", "bare.pth"):
        if not (site / name).exists():
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_text("")
    return {str(path): path.stat().st_mtime_ns for path in site.rglob("*foreign*")}


def _children(pid: int) -> List[int]:
    """The processes that a process has started."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def _kill_after(process: Any, seconds: float, changed: Callable[[], bool] = lambda: True) -> None:
    """SIGKILL for a process and its children, each with its group, so long after a change."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.write("\n")
        process.stdin.flush()
    while process.poll() is None and not changed():
        time.sleep(0.001)
    time.sleep(seconds)  # the moment itself is what is tested
    for pid in [process.pid, *_children(process.pid)]:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()


def _timed(process: Any) -> float:
    """How long a process takes once it is told to go on."""
    started = time.monotonic()
    process.communicate("\n", timeout=120)
    return time.monotonic() - started


@pytest.mark.timeout(3600)
def test_a_killed_install_is_repaired(environment: Environment, long: bool) -> None:
    """Killed with its installer at seeded moments; after the same line again each file is there."""
    chance, rounds = random.Random(4), 100 if long else 3
    taken = _timed(environment.begin(environment.two))
    at, broken, fooled, bare_broken = environment.two, 0, 0, 0
    for _ in range(rounds):
        at = environment.one if at is environment.two else environment.two
        seconds, since = chance.uniform(0.05, 1.0) * taken, environment.site.stat().st_mtime_ns
        if "PIP_SRC" in environment.variables:  # it resolves for most of the time
            changed = lambda: environment.site.stat().st_mtime_ns != since  # noqa: E731, B023
            _kill_after(environment.begin(at), seconds / 4, changed)
        else:
            _kill_after(environment.begin(at), seconds)
        broken += bool(damage(environment.site))
        theirs = by_hand(environment.site)
        said = environment.pin(at)
        assert damage(environment.site) == {}, said
        assert theirs == by_hand(environment.site)
        assert leftovers(environment.site) == []
        assert environment.pin(at).startswith("10 packages are already installed")
        imports(environment.machine.python, environment.variables)
    if long and "PIP_SRC" not in environment.variables:
        bare_broken, fooled = _bare(environment, chance, rounds)
        print(f"\nbare uv: {bare_broken} of {rounds} kills leave damage,", end=" ")
        print(f"{fooled} are still damaged after the same uv pip install")
    print(f"\n%pin: {broken} of {rounds} kills leave damage, 0 after the next %pin; {taken:.2f} s")
    assert broken or not long


def _bare(environment: Environment, chance: random.Random, rounds: int) -> Any:
    """How often bare uv is left broken, and stays so after a second run."""
    environment.bare(environment.one).communicate(timeout=120)  # what is measured changes all
    taken = _timed(environment.bare(environment.two))
    at, broken, fooled = environment.two, 0, 0
    for _ in range(rounds):
        at = environment.one if at is environment.two else environment.two
        _kill_after(environment.bare(at), chance.uniform(0.05, 1.0) * taken)
        broken += bool(damage(environment.site))
        environment.bare(at).communicate(timeout=120)
        if damage(environment.site):
            fooled += 1
            for path in [*environment.site.glob("many*")]:
                shutil.rmtree(path)
            environment.bare(at).communicate(timeout=120)
    return broken, fooled


@pytest.mark.timeout(3600)
def test_a_repair_that_is_killed_is_repaired(environment: Environment, long: bool) -> None:
    """Killed again and again in the repair itself: the run that gets to its end repairs all."""
    chance = random.Random(5)
    taken = _timed(environment.begin(environment.two))
    for _ in range(10 if long else 1):
        for _ in range(3):
            _kill_after(environment.begin(environment.one), chance.uniform(0.3, 0.9) * taken)
        environment.pin(environment.one)
        assert damage(environment.site) == {} and leftovers(environment.site) == []
        environment.pin(environment.two)


def test_another_line_repairs_too(environment: Environment, long: bool) -> None:
    """After a kill any other pin repairs: no package is lost, none is in pieces."""
    chance = random.Random(6)
    taken = _timed(environment.begin(environment.two))
    for _ in range(10 if long else 1):
        _kill_after(environment.begin(environment.one), chance.uniform(0.4, 0.9) * taken)
        theirs = by_hand(environment.site)
        said = environment.pin(["tinypkg==1.0"])
        assert damage(environment.site) == {} and leftovers(environment.site) == [], said
        assert theirs == by_hand(environment.site)
        environment.pin(environment.two)
        shutil.rmtree(next(environment.site.glob("tinypkg-*")))
        environment.pin(["tinypkg==1.0"])


def test_two_at_a_time_wait_for_each_other(environment: Environment) -> None:
    """Two processes that pin different versions at once leave one of them, whole."""
    both = [environment.begin(environment.two), environment.begin(environment.one)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0] for process in both]
    assert all(said), said
    assert damage(environment.site) == {}
    assert len({path.name.split("-")[1] for path in environment.site.glob("many*-info")}) == 1


def test_the_installer_outlives_its_kernel(environment: Environment) -> None:
    """Where only the kernel is killed, the next one waits for the installer that goes on."""
    process = environment.begin(environment.two)
    process.stdin.write("\n")  # type: ignore[union-attr]
    process.stdin.flush()  # type: ignore[union-attr]
    until = time.monotonic() + 30
    while not _children(process.pid) and time.monotonic() < until:
        assert process.poll() is None
    process.kill()
    environment.pin(environment.one)
    assert damage(environment.site) == {}
    assert environment.pin(environment.one).startswith("10 packages are already installed")
