"""The parts of the front-end extension that need no page, in node; Python's side of each table."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, List, Sequence

import pytest

from colab_magics.notebook.metadata_keys import changed
from colab_magics.record.cell import is_setup

TESTS = Path(__file__).resolve().parents[1]
EXTENSION = TESTS.parent / "colab_magics" / "labextension" / "static" / "remoteEntry.js"

Held = Callable[[int, int], None]
Node = Callable[[Sequence[Sequence[Any]]], List[Any]]


def table(name: str) -> Any:
    """Return the cases of ``tests/cases/NAME.json``."""
    return json.loads((TESTS / "cases" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def node() -> Node:
    """Call functions of the extension in node, many at once."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("node", path=path)
    if program is None:
        pytest.skip("elsewhere: node is in the extra `browser`")

    def call(calls: Sequence[Sequence[Any]]) -> List[Any]:
        done = subprocess.run(
            [program, str(TESTS / "support" / "front_end_parts.js")],
            input=json.dumps([str(EXTENSION), calls]),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        results: List[Any] = json.loads(done.stdout)
        return results

    return call


def test_both_know_a_setup_cell(node: Node, held: Held) -> None:
    """Each text of the table is a setup cell, or not, for Python and for the extension."""
    cases = table("markers")
    results = node([["isSetup", case["text"]] for case in cases])
    wrong = [
        case["text"]
        for case, result in zip(cases, results)
        if not case["setup"] == result == is_setup(case["text"])
    ]
    held(len(cases), len(cases) - len(wrong))
    assert not wrong


def test_each_line_end_of_python_is_in_the_table() -> None:
    """No separator of ``str.splitlines`` is left out: the extension has a list of its own."""
    texts = [case["text"] for case in table("markers")]
    ends = {chr(n) for n in range(0x110000) if len(f"a{chr(n)}b".splitlines()) > 1}
    assert all(any(f"# a{end}# colab" in text for text in texts) for end in ends)


def test_both_change_metadata_alike(node: Node, held: Held) -> None:
    """A value is set or deleted as the table says; other metadata stays, whatever it is."""
    cases = table("metadata")
    calls = [["writeMetadata", case["before"], case["what"], case["value"]] for case in cases]
    wrong = []
    for case, result in zip(cases, node(calls)):
        changes = changed(case["before"], case["what"], case["value"])
        merged = {**case["before"], **changes}
        after = {key: value for key, value in merged.items() if changes.get(key, 0) is not None}
        if result != {"status": "ok", "metadata": case["after"]} or after != case["after"]:
            wrong.append((case, result, after))
    held(len(cases), len(cases) - len(wrong))
    assert not wrong


def test_a_restart_runs_each_cell_once(node: Node) -> None:
    """The setup cell comes first, then what was under way in its order; no deleted cell."""
    cases = table("restart")["plan"]
    calls = [
        ["planCells", case["setup"], case["batch"], case["sender"], case.get("disposed", [])]
        for case in cases
    ]
    assert node(calls) == [case["cells"] for case in cases]


def test_cells_are_called_by_their_numbers(node: Node) -> None:
    """Neighbours are a range where they run in that order."""
    cases = table("restart")["names"]
    assert node([["nameCells", case["numbers"]] for case in cases]) == [c["text"] for c in cases]
