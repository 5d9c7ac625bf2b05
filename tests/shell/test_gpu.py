"""``%gpu`` in a child process whose NVML is the test double."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, Dict, Iterator

import pytest
from doubles import nvml

from .cells import Child

On = Callable[[str], Child]

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the NVML double is a Linux shared library"
)


@pytest.fixture(scope="module")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[On]:
    """A shell on the machine that a scenario describes, one for each scenario."""
    try:
        library = nvml.build(tmp_path_factory.mktemp("nvml"))
    except FileNotFoundError as error:
        pytest.skip(str(error))
    started: Dict[str, Child] = {}
    home = tmp_path_factory.mktemp("gpuhome")

    def on(scenario: str) -> Child:
        if scenario not in started:
            variables = nvml.environment(library, scenario)
            started[scenario] = Child({**variables, "HOME": str(home), "IPYTHONDIR": str(home)})
        return started[scenario]

    yield on
    for child in started.values():
        child.__exit__(None, None, None)


@pytest.fixture
def on(children: On) -> On:
    """The shell of a scenario, with nothing remembered."""

    def clean(scenario: str) -> Child:
        child = children(scenario)
        child.attempt("%setup forget --all")
        return child

    return clean


def test_a_gpu_is_shown_and_remembered_with_its_name(on: On) -> None:
    """``%gpu`` shows the card, its memory and its driver, and the line notes what it was."""
    answer = on("t4").attempt("%gpu")
    assert not answer.error
    assert answer.shown.splitlines()[0] == (
        "0 Tesla T4 · 14.6 of 15.0 GiB free · driver 550.54.14 (CUDA up to 12.4)"
    )
    (line,) = answer.steps
    assert line.split("#") == [line.split("#")[0], " made on Tesla T4"]
    assert line.split() == ["%gpu", "#", "made", "on", "Tesla", "T4"]


def test_two_gpus_are_two_lines(on: On) -> None:
    """Each card has a line, and both are noted."""
    answer = on("two").attempt("%gpu")
    first, second = answer.shown.splitlines()[:2]
    assert first.startswith("0 Tesla T4 · ")
    assert second.startswith("1 NVIDIA A100-SXM4-40GB · 18.9 of 40.0 GiB free")
    assert answer.steps[0].endswith("# made on Tesla T4, NVIDIA A100-SXM4-40GB")


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("mismatch", "The NVIDIA driver was updated while running: restart the machine"),
        ("notloaded", "The NVIDIA driver is installed but not loaded: restart the machine"),
        ("nogpu", "else go on without"),
    ],
)
def test_without_a_gpu_it_says_why_and_never_raises(on: On, scenario: str, reason: str) -> None:
    """Without a usable card, ``%gpu`` says so with the next action, and remembers nothing."""
    answer = on(scenario).attempt("%gpu")
    assert not answer.error
    (line,) = answer.shown.splitlines()
    assert line.startswith("No GPU assigned. ")
    assert reason in line
    assert answer.steps == []


@pytest.mark.parametrize(
    ("scenario", "news"),
    [
        ("t4", ""),
        ("l4", "made on Tesla T4, now NVIDIA L4"),
        ("two", "made on Tesla T4, now Tesla T4, NVIDIA A100-SXM4-40GB"),
        ("nogpu", "made on Tesla T4, now no GPU"),
        ("mismatch", "made on Tesla T4, now no GPU"),
    ],
)
def test_the_setup_cell_says_what_changed(on: On, scenario: str, news: str) -> None:
    """The recorded line, run on another card, says what changed and goes on; on the same, nothing.

    The setup cell itself is not rewritten by its own run.
    """
    cell = "# colab_magics:setup v1\n%gpu                        # made on Tesla T4\nx = 1"
    child = on(scenario)
    answer = child.attempt(cell)
    assert not answer.error
    assert [x for x in answer.shown.splitlines() if "made on" in x] == ([news] if news else [])
    assert answer.steps == []
    assert child("print(x)") == "1"


@pytest.mark.parametrize(
    ("scenario", "wish"),
    [
        ("t4", ""),
        ("t4", "T4"),
        ("t4", "t4"),
        ("t4", "'Tesla T4'"),
        ("t4", "T4 --memory 16GB"),
        ("t4", "--memory 15GiB"),
        ("t4", "--memory 15000mb"),
        ("t4", "--memory 16GiB"),
        ("l4", "--memory 24GB"),
        ("two", "A100 --memory 40GB"),
        ("two", "a100-sxm4"),
    ],
)
def test_a_requirement_that_is_met(on: On, scenario: str, wish: str) -> None:
    """A name in any case, and the size a card is sold by, are met: the line is remembered."""
    answer = on(scenario).attempt(f"%gpu require {wish}")
    assert not answer.error
    assert "is here, as required" in answer.shown
    assert answer.steps[0].startswith(f"%gpu require {wish}".strip())


@pytest.mark.parametrize(
    ("scenario", "wish"),
    [
        ("t4", "T4 --memory 40GB"),
        ("t4", "--memory 24GB"),
        ("t4", "L4"),
        ("t4", "T"),
        ("two", "T4 --memory 40GB"),
        ("two", "V100"),
        ("nogpu", "T4"),
        ("mismatch", "--memory 1GB"),
    ],
)
def test_a_requirement_that_is_not_met(on: On, scenario: str, wish: str) -> None:
    """What is not there stops Run All, and the error ends with the line to edit."""
    answer = on(scenario).attempt(f"%gpu require {wish}")
    assert answer.error == "GpuUnmet"
    assert "required; here: " in answer.message.splitlines()[0]
    assert answer.message.endswith(f"Or edit this line: %gpu require {wish}")
    assert "Traceback" not in answer.shown
    assert answer.steps == []


def test_a_mismatch_is_named_in_the_error(on: On) -> None:
    """Where the driver is at fault, the error of ``require`` says that, not to choose a GPU."""
    assert "restart the machine" in on("mismatch").attempt("%gpu require").message


def test_require_takes_the_place_of_a_plain_line(on: On) -> None:
    """A notebook has one line on its GPU: the later one."""
    child = on("t4")
    child("%gpu")
    answer = child.attempt("%gpu require T4")
    assert [line.split("  ")[0] for line in answer.steps] == ["%gpu require T4"]


def test_setup_shows_how_the_line_stands(on: On) -> None:
    """``%setup`` says of the recorded line whether it holds."""
    cell = "# colab_magics:setup v1\n%reload_ext colab_magics\n%gpu require T4"
    here, elsewhere = on("t4"), on("nogpu")
    here(cell)
    assert "ok  %gpu require T4" in here("%setup")
    elsewhere.attempt(cell)
    assert "differs  %gpu require T4" in elsewhere("%setup")


def test_the_scenarios_are_all_used() -> None:
    """A scenario that is added is used here."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in nvml.SCENARIOS if f'"{name}"' not in text] == []
