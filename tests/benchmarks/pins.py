"""What ``%pin`` costs beside its peers, in the same run: no-op, cold install, restart verdict.

``python tests/benchmarks/pins.py`` prints milliseconds and ratios. ``--cold`` also installs numpy,
pandas, scikit-learn and matplotlib from the index into fresh environments, with an empty cache
each time: by ``%pin``'s own code, by uv and by pip. That takes minutes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Callable, List

from timing import milliseconds, record

PINS = ("packaging", "requests", "nbformat", "platformdirs", "ipykernel")
HEAVY = ("numpy==2.1.3", "pandas==2.2.3", "scikit-learn==1.5.2", "matplotlib==3.9.2")
MODULES = 2000
#: The ways take turns, so that a slow network slows all of them.
ROUNDS = 5

#: A kernel runs already when a cell is run: its start does not count, but all that we import does.
OURS = """\
import sys, time
started = time.perf_counter()
from pathlib import Path
from colab_magics.core.host import Host
from colab_magics.pin.step import parse
parse(sys.argv[1:]).apply(Host(None, Path.cwd()), lambda line: None)
print(time.perf_counter() - started)
"""


def no_op() -> None:
    """Five pins that hold: ours in-process, pip as ``%pip install`` runs it."""
    from importlib.metadata import version

    from uv import find_uv_bin

    from colab_magics.core.host import Host
    from colab_magics.pin.step import parse

    words = [f"{name}=={version(name)}" for name in PINS]
    step, host = parse(words), Host(None, Path.cwd())
    assert step is not None and step.check(host).state == "ok"
    ours = milliseconds(lambda: step.check(host))
    command = [sys.executable, "-m", "pip", "install", "-q", *words]
    theirs = milliseconds(lambda: subprocess.run(command, check=True), rounds=3)
    command = [find_uv_bin(), "pip", "install", "-q", "--python", sys.executable, *words]
    by_uv = milliseconds(lambda: subprocess.run(command, check=True))
    print(f"no-op, 5 pins: %pin {ours:.1f} ms, pip {theirs:.0f} ms; ratio {theirs / ours:.0f}")
    record("5 packages that are installed", "ms", ours, {"pip": theirs, "uv": by_uv})


def lock() -> None:
    """Locking what is behind the pins, and asking whether it holds; needs the index."""
    from uv import find_uv_bin

    from colab_magics.core.host import Host
    from colab_magics.pin.environment import versions
    from colab_magics.pin.lock import Lock
    from colab_magics.pin.lock_maker import make
    from colab_magics.pin.step import parse

    step, host = parse(["jupyter-client", "requests"]), Host(None, Path.cwd())
    assert step is not None
    made, _ = make([step], host, lambda said: None)
    ours = milliseconds(lambda: make([step], host, lambda said: None), rounds=3)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.in")
        wanted.write_text("\n".join(step.requirements), encoding="utf-8")
        words = ["pip", "compile", "-q", "--format", "pylock.toml", "--python", sys.executable]
        command = [find_uv_bin(), *words, "-o", str(Path(folder, "pylock.toml")), str(wanted)]
        theirs = milliseconds(lambda: subprocess.run(command, check=True), rounds=3)
    text = made.encode()
    asked = milliseconds(lambda: Lock.decode(text).differs(versions()))
    print(
        f"lock of {len(made.packages)} packages: {ours:.0f} ms, uv pip compile {theirs:.0f} ms; "
        f"ratio {theirs / ours:.1f}; {len(text)} bytes; does it hold: {asked:.1f} ms"
    )
    subject = f"a lock of {len(made.packages)} installed packages"
    record(subject, "ms", ours, {"uv pip compile": theirs})


def verdict() -> None:
    """Which distributions own what is loaded, with 2,000 modules in ``sys.modules``."""
    from colab_magics.pin.loaded import loaded_versions

    for at in range(MODULES - len(sys.modules)):
        module = types.ModuleType(f"made_{at}")
        module.__file__ = f"/made/{at}.py"
        sys.modules[module.__name__] = module
    taken = milliseconds(loaded_versions)
    print(f"restart verdict, {len(sys.modules)} modules: {taken:.0f} ms (promise: < 150 ms)")


def cold() -> None:
    """The same packages into a fresh environment, from the index, with nothing cached."""
    from uv import find_uv_bin

    uv = find_uv_bin()
    ways = {
        "%pin": lambda python: [python, "-c", OURS, *HEAVY],
        "uv pip install": lambda python: [uv, "pip", "install", "-q", "--python", python, *HEAVY],
        "pip install": lambda python: [python, "-m", "pip", "install", "-q", *HEAVY],
    }
    rounds = [{name: _cold(uv, make) for name, make in ways.items()} for _ in range(ROUNDS)]
    seconds = {name: statistics.median(one[name] for one in rounds) for name in ways}
    for name, taken in seconds.items():
        print(f"cold install, {name}: {taken:.1f} s; ratio to %pin {taken / seconds['%pin']:.2f}")
    subject = "numpy, pandas, scikit-learn, matplotlib; empty cache"
    record(subject, "s", seconds.pop("%pin"), {name.split()[0]: x for name, x in seconds.items()})


def _cold(uv: str, make: Callable[[str], List[str]]) -> float:
    """Seconds in a fresh environment with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        python = str(Path(folder, "environment", "bin", "python"))
        subprocess.run(
            [uv, "venv", "-q", "--seed", "--python", sys.executable, f"{folder}/environment"],
            check=True,
        )
        site = next(Path(folder).rglob("site-packages"))
        (site / "borrowed.pth").write_text("\n".join(map(str, _borrowed())))
        env = {**os.environ, "UV_CACHE_DIR": f"{folder}/uv", "PIP_NO_CACHE_DIR": "1"}
        started = time.perf_counter()
        done = subprocess.run(make(python), check=True, env=env, stdout=subprocess.PIPE)
        return float(done.stdout or time.perf_counter() - started)


def _borrowed() -> List[Path]:
    """Where this package and what it needs are, so that the fresh environment sees them."""
    import packaging

    import colab_magics

    found = (Path(module.__file__ or "").parent.parent for module in (colab_magics, packaging))
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    no_op()
    verdict()
    lock()
    if "--cold" in sys.argv:
        cold()
