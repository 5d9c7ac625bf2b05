"""The notebooks of docs/engines, which train over workers: run as nbclient does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import List, Tuple

from doubles.index import make_wheel

from .machine import Machine
from .notebooks import shown, whole

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "engines"


def make_humanize(folder: Path) -> None:
    """Write the wheel that their setup cells pin."""
    code = "def intcomma(number):\n    return f'{number:,}'\n"
    make_wheel(folder, "humanize", "4.9.0", {"humanize/__init__.py": code})


def run_training(name: str, machine: Machine, folder: Path) -> Tuple[str, List[float]]:
    """Run one, whose own assertions hold; the table of its workers, and what it has learned.

    The rule in its data is 0.5 + x - 2y > 0.
    """
    copy, output = folder / f"{name}.ipynb", folder / f"{name}.out.ipynb"
    shutil.copy(FOLDER / copy.name, copy)
    machine.execute(copy, output)
    texts = shown(output)
    at = next(
        at for at, cell in enumerate(whole(output)["cells"]) if "--on" in "".join(cell["source"])
    )
    weights = [float(number) for number in re.findall(r"-?[0-9.]+", texts[-1])]
    assert len(weights) == 3 and weights[0] > 0 and weights[1] > 0 > weights[2]
    return texts[at], weights
