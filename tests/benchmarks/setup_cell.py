"""A setup cell on a machine that has everything, beside the commands that people type for it.

``python tests/benchmarks/setup_cell.py`` prints seconds for the first run (300 MB fetched and
unpacked, a clone, six packages, a package of the system, a mount, all from loopback) and
milliseconds for the second (promised: under 100), beside uv, git and apt-get asked for the same.
It needs what ``tests/integration/test_project.py`` needs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import milliseconds

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    """One project on one machine."""
    from doubles.index import make_wheel, serve
    from integration.test_project import PINS, World, child
    from support.notebooks import notebook, setup_text

    with tempfile.TemporaryDirectory() as folder:
        for name in PINS:
            make_wheel(Path(folder) / "wheels", name, "1.0")
        with serve(Path(folder) / "wheels") as index:
            world = World(Path(folder), index, 300_000_000)
            try:
                path = notebook(Path(folder) / "typed" / "nb.ipynb", *world.lines())
                assert world.machine().cli("run", path).returncode == 0
                machine, cell = world.machine(), setup_text(path)
                with child(machine) as shell:
                    started = time.perf_counter()
                    shell(cell)
                    print(f"first run: {time.perf_counter() - started:.1f} s")
                    again = milliseconds(lambda: shell(cell), 20)
                pins = [f"{name}==1.0" for name in PINS]
                commands = [
                    ["uv", "pip", "install", "-q", "--python", str(machine.python), *pins],
                    ["git", "-C", str(machine.home / "project"), "status", "-s"],
                    ["apt-get", "install", "-qq", "-y", "tool"],
                ]

                def typed() -> None:
                    for command in commands:
                        subprocess.run(
                            command, env=machine.variables, check=True, capture_output=True
                        )

                theirs = milliseconds(typed, 10)
            finally:
                world.end()
    print(f"second run: {again:.0f} ms; uv, git and apt-get: {theirs:.0f} ms")
    print(f"ratio {theirs / again:.1f}")


if __name__ == "__main__":
    main()
