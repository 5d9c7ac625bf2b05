"""What ``colab-magics run`` costs beside ``jupyter execute``, and ``setup write`` beside ``json``.

``python tests/benchmarks/run.py`` prints seconds, those of the processor, megabytes (the peak of
the largest process), and the ratios. The promises: 1.2 of ``jupyter execute`` in time and 1.5 in
memory; ``setup write`` 1.3 of a process that loads the notebook and dumps it again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple

from timing import record

PRINT = "print('x' * {})"
EXECUTE = "from nbclient.cli import main; main()"
LOAD_AND_DUMP = (
    "import json, sys\n"
    "with open(sys.argv[1], encoding='utf-8') as file: whole = json.load(file)\n"
    "with open(sys.argv[1], 'w', encoding='utf-8') as file:\n"
    "    json.dump(whole, file, indent=1, ensure_ascii=False)\n"
)
#: Each command runs one notebook, which is in its folder.
RUNNERS: Dict[str, List[str]] = {
    "colab-magics run": ["-m", "colab_magics", "run", "nb.ipynb"],
    "jupyter execute": ["-c", EXECUTE, "--inplace", "nb.ipynb"],
    "papermill": ["-m", "papermill", "--no-progress-bar", "nb.ipynb", "nb.ipynb"],
}
WRITERS: Dict[str, List[str]] = {
    "setup write": ["-m", "colab_magics", "setup", "write", "nb.ipynb", "%drive mount"],
    "json load and dump": ["-c", LOAD_AND_DUMP, "nb.ipynb"],
}


class Cost(NamedTuple):
    """Seconds, those of the processor (its kernel's too), and the most megabytes."""

    seconds: float
    processor: float
    megabytes: float


def notebook(path: Path, sources: List[str], text: str = "") -> None:
    """Write a notebook of these cells, each with this text put out already."""
    output = {"name": "stdout", "output_type": "stream", "text": text.splitlines(True)}
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{at}",
            "metadata": {},
            "outputs": [output] if text else [],
            "source": [source],
        }
        for at, source in enumerate(sources)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def cost(words: List[str], folder: Path) -> Cost:
    """Run a Python to its end."""
    started = time.monotonic()
    with open(folder / "said", "wb") as said:
        process = subprocess.Popen([sys.executable, *words], cwd=folder, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)  # of this process, not of its children
    process.returncode = status
    if status:
        raise SystemExit((folder / "said").read_text(errors="replace"))
    seconds = time.monotonic() - started
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(title: str, commands: Dict[str, List[str]], sources: List[str], text: str) -> None:
    """Measure each on a fresh notebook, and print how the first stands to each other one."""
    costs = {}
    with tempfile.TemporaryDirectory() as place:
        for name, words in commands.items():
            notebook(Path(place) / "nb.ipynb", sources, text)
            costs[name] = cost(words, Path(place))
    print(title)
    ours, *others = costs.values()
    for unit in ("s", "MB"):
        at = 0 if unit == "s" else 2
        peers = {name: other[at] for name, other in zip(list(costs)[1:], others)}
        record(title, unit, ours[at], peers)
    for name, other in costs.items():
        parts = [f"{theirs:9.1f}{mine / theirs:6.2f}" for mine, theirs in zip(ours, other)]
        print(f"  {name:<20}{''.join(parts)}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=2000, help="of x=1 (default: 2000)")
    parser.add_argument("--megabytes", type=int, default=100, help="of outputs (default: 100)")
    parser.add_argument("--without", default="-", help="leave this command out")
    parser.add_argument("--only", default="", help="those whose title has this in it")
    options = parser.parse_args()
    each, size = 200, options.megabytes
    outputs = [PRINT.format(size * 1_000_000 // each)] * each
    full = "x" * (size * 1_000_000 // each)
    print(f"{'':<22}{'s':>9}{'ours':>6}{'cpu s':>9}{'ours':>6}{'MB':>9}{'ours':>6}")
    for title, commands, sources, text in (
        (f"{size} MB put out by {each} cells", RUNNERS, outputs, ""),
        (f"the same again, {size} MB in the file", RUNNERS, outputs, full),
        (f"{options.cells} cells of x=1", RUNNERS, ["x=1"] * options.cells, ""),
        (f"a notebook of {size} MB", WRITERS, ["x=1"] * each, full),
    ):
        if options.only in title:
            those = {name: words for name, words in commands.items() if name != options.without}
            compare(title, those, sources, text)


if __name__ == "__main__":
    main()
