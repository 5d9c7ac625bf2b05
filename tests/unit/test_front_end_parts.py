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

from colab_magics.core.errors import input_errors
from colab_magics.notebook.metadata_keys import KEY, changed, was_setup
from colab_magics.record.cell import is_setup
from colab_magics.setup.step import parse

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


def test_both_know_a_setup_cell_without_its_marker(node: Node, held: Held) -> None:
    """By exactly our role in the cell's metadata, and the line that loads this package."""
    cases = table("roles")
    results = node([["wasSetup", case["text"], case["role"]] for case in cases])
    wrong = [
        case
        for case, result in zip(cases, results)
        if not case["setup"] == bool(result) == was_setup(case["text"], {KEY: case["role"]})
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


def test_what_runs_again_is_said_in_words(node: Node) -> None:
    """All of it, the setup cell, this cell; the numbers of others, neighbours as a range."""
    cases = table("restart")["words"]
    calls = [["describeRun", c["run"], c["setup"], c["sender"], c["all"]] for c in cases]
    assert node(calls) == [case["text"] for case in cases]


def test_a_kernel_sets_nothing_but_the_editor(node: Node) -> None:
    """Each value is in its bounds, a theme is one that the page has, and no other key is taken."""
    themes = {
        "all": ["JupyterLab Dark", "JupyterLab Light", "Solarized"],
        "dark": "JupyterLab Dark",
        "light": "JupyterLab Light",
    }
    cases = table("editor")["checked"]
    calls = [["checkEditor", case["values"], themes] for case in cases]
    assert node(calls) == [case["result"] for case in cases]


def test_the_line_and_the_page_agree_on_the_bounds(node: Node) -> None:
    """What `%setup editor` takes, the page takes, and what it refuses is refused."""
    words = {"--indent": [*map(str, range(10))], "--font-size": [*map(str, range(0, 60))]}
    for option, texts in words.items():
        name = option[2:].replace("-", "_")
        here = [accepted(f"editor {option} {text}") for text in texts]
        there = node([["checkEditor", {name: int(text)}, {"all": []}] for text in texts])
        assert here == [result is not None for result in there] and any(here) and not all(here)


def accepted(line: str) -> bool:
    """Whether `%setup` takes the words."""
    try:
        return parse(line.split()) is not None
    except input_errors():
        return False


def test_what_a_person_has_set_beside_it_stays(node: Node) -> None:
    """A value within a setting is set and removed; others in it stay."""
    cases = table("editor")["changed"]
    calls = [
        ["withValue", c["object"], c["path"], *([c["value"]] if "value" in c else [])]
        for c in cases
    ]
    assert node(calls) == [case["result"] for case in cases]


def test_the_status_counts_the_magics(node: Node) -> None:
    """Each line of ours or of others counts once, those that load the extension do not."""
    cases = table("editor")["lines"]
    calls = [["countLines", case["text"]] for case in cases]
    assert node(calls) == [case["count"] for case in cases]
