"""What the kernel may make the front-end extension do, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional

import pytest

from colab_magics.record.cell import is_setup

HERE = Path(__file__).parent
EXTENSION = HERE.parents[1] / "colab_magics" / "labextension" / "static" / "remoteEntry.js"
SETUP = "# colab_magics:setup v1\n%reload_ext colab_magics"
LOCK = "lock-version = '1.0'"

Ask = Callable[..., Dict[str, Any]]


@pytest.fixture(scope="module")
def ask(chromium: Any) -> Iterator[Ask]:
    """Ask the real extension, in a browser, about a notebook that `extension.js` plays."""
    page = chromium.new_page()
    for script in (EXTENSION, HERE / "extension.js"):
        page.add_script_tag(content=script.read_text(encoding="utf-8"))
    yield lambda *about: page.evaluate("about => ask(...about)", list(about))
    page.close()


def test_many_lines_are_read_in_linear_time(ask: Ask) -> None:
    """A cell of 100,000 comments or blank lines is read at once, in both languages."""
    for line in ("# a\r\n", "\r\n", "#\r", " \n"):
        assert not is_setup(line * 100_000)
        assert ask([line * 100_000], {"action": "read"}, "running")["answer"]["text"] is None


@pytest.mark.parametrize("when", ["running", "ended", "never"])
@pytest.mark.parametrize(
    "data",
    [
        {"action": "put", "text": SETUP, "expected": None},
        {"action": "keep", "what": "lock", "value": LOCK},
        {"action": "keep", "what": "gpu", "value": "T4"},
    ],
    ids=lambda data: data["action"] + data.get("what", ""),
)
def test_a_notebook_is_changed_only_while_its_cell_runs(
    ask: Ask, data: Dict[str, Any], when: str
) -> None:
    """What the kernel sends at another time changes nothing."""
    done = ask(["x = 1"], data, when)
    changed = done["texts"] != ["x = 1"] or bool(done["metadata"])
    assert done["answer"]["status"] == ("ok" if when == "running" else "gone")
    assert changed == (when == "running")


@pytest.mark.parametrize("when", ["running", "ended", "never"])
@pytest.mark.parametrize("size", [1, 5_000_000], ids=["small", "large"])
@pytest.mark.parametrize("action", ["read", "whole"])
def test_a_notebook_is_given_only_while_its_cell_runs(
    ask: Ask, action: str, size: int, when: str
) -> None:
    """What the kernel asks at another time, or a stranger with an old header of this page, gets
    nothing of the notebook, not even its name, and saves nothing.
    """
    done = ask(["x" * size], {"action": action}, when)
    running = when == "running"
    assert done["answer"]["status"] == ("ok" if running else "gone")
    assert running or done["answer"].keys() == {"status", "nonce"}
    assert done["saves"] == (running and action == "whole" and size > 1)


def test_a_greeting_learns_no_name(ask: Ask) -> None:
    """That the extension is here is said at any time, and nothing else."""
    for when in ("running", "ended", "never"):
        answer = ask(["x = 1"], {"action": "hello"}, when)["answer"]
        assert answer == {"status": "ok", "nonce": "n" * 32}


@pytest.mark.parametrize("end", ["\r\n", "\r"], ids=ascii)
@pytest.mark.parametrize("first", [True, False], ids=["running", "other"])
def test_the_answer_is_what_was_done_with_foreign_line_ends(
    ask: Ask, end: str, first: bool
) -> None:
    """A setup cell with the line ends of another system is written whole, with ours, or not at all
    where it runs itself; it is never said to be as it was when it is not.
    """
    old = SETUP.replace("\n", end)
    texts = [old, "x = 1"] if first else ["x = 1", old]
    assert ask(texts, {"action": "read"}, "running")["answer"]["text"] == SETUP
    new = SETUP + f"{end}%env_persist A_B=1"
    done = ask(texts, {"action": "put", "text": new, "expected": SETUP}, "running")
    if first:
        assert (done["answer"]["status"], done["texts"]) == ("line-ends", texts)
    else:
        assert done["answer"]["status"] == "ok"
        assert done["texts"] == ["x = 1", SETUP + "\n%env_persist A_B=1"]


@pytest.mark.parametrize(
    ("what", "value"),
    [
        *((name, None) for name in ("__proto__", "constructor", "toString", "hasOwnProperty", "")),
        *((name, "T4") for name in ("__proto__", "constructor", "valueOf")),
        *(("gpu", value) for value in (["T4"], 5, {"a": 1}, True, "t4", "T4\n", "")),
        ("lock", [LOCK]),
        ("github", "path=../x y"),
        (None, None),
        (["gpu", "lock"], "T4"),
        (["gpu"], "T4"),
    ],
)
def test_only_what_is_listed_is_kept(ask: Ask, what: object, value: Optional[object]) -> None:
    """Names of JavaScript's own, and values that are no text, are refused; nothing changes."""
    data = {"action": "keep", "what": what, "value": value}
    done = ask(["x = 1"], data, "running")
    assert done["answer"]["status"] == "refused" and not done["metadata"]
