"""``%gpu`` in a child process whose NVML is the test double."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from doubles import nvml
from doubles.torch import put_torch
from support.cells import Cells, Child

from colab_magics.extension.session import get_session
from colab_magics.gpu.magic import GpuMagic

On = Callable[[str], Child]
#: Numbers of architectures, such as 75.
Kernels = List[int]

_OLD_DRIVER = "450.80.02 (CUDA up to 11.0)"

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the NVML double is a Linux shared library"
)


@pytest.fixture(scope="module")
def children(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[On]:
    """A shell on the machine that a scenario describes, one for each scenario."""
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


def columns(row: str) -> List[str]:
    """The cells of a row without their bars."""
    return re.split(r"\s{2,}", re.sub(r"\[[# ]*\] ", "", row))


def test_a_gpu_is_shown_and_remembered_with_its_name(on: On) -> None:
    """``%gpu`` shows the card, its memory and its driver, and the line notes what it was."""
    answer = on("t4").attempt("%gpu")
    assert not answer.error
    head, row = answer.shown.splitlines()[:2]
    assert head.split()[:2] == ["GPU", "memory"]
    assert columns(row) == [
        *("0 Tesla T4", "0.4 of 15.0 GiB", "0 %", "41 °C"),
        "550.54.14 (CUDA up to 12.4)",
    ]
    (line,) = answer.steps
    assert line.split("#") == [line.split("#")[0], " made on Tesla T4"]
    assert line.split() == ["%gpu", "#", "made", "on", "Tesla", "T4"]


def test_memory_and_load_are_bars(on: On) -> None:
    """As long as what is used, in the colours of nvitop: up to 10 %, up to 75 or 80 %, above."""
    bars = on("two")(
        "from colab_magics.gpu.devices import take_snapshot\n"
        "from colab_magics.gpu.format import draw_rows\n"
        "for row in draw_rows(take_snapshot().gpus):\n"
        "    for bar in row[1:3]: print(bar, round(bar.share, 2), bar.tone)"
    )
    assert bars.splitlines() == [
        "0.4 of 15.0 GiB 0.03 good",
        "0 % 0.0 good",
        "21.1 of 40.0 GiB 0.53 caution",
        "87 % 0.87 bad",
    ]


@pytest.mark.parametrize(
    ("scenario", "lines", "noted"),
    [
        (
            "mig",
            [
                ["0:0 NVIDIA A100-SXM4-40GB MIG 1g.5gb", "1.2 of 4.8 GiB", "n/a"],
                ["0:1 NVIDIA A100-SXM4-40GB MIG 3g.20gb", "2.1 of 19.5 GiB", "n/a"],
            ],
            "NVIDIA A100-SXM4-40GB MIG 1g.5gb, NVIDIA A100-SXM4-40GB MIG 3g.20gb",
        ),
        ("vgpu", [["0 GRID A100D-20C", "1.8 of 20.0 GiB", "12 %", "n/a"]], "GRID A100D-20C"),
        (
            "old",
            [["0 Tesla V100-SXM2-16GB", "2.3 of 15.8 GiB", "55 %", "58 °C", _OLD_DRIVER]],
            "Tesla V100-SXM2-16GB",
        ),
    ],
)
def test_cards_that_are_unlike_others(
    on: On, scenario: str, lines: List[List[str]], noted: str
) -> None:
    """Each instance of a divided card is one; what a virtual card does not say is n/a; a driver
    without the newer calls is no error.
    """
    answer = on(scenario).attempt("%gpu")
    assert not answer.error
    shown = [columns(row) for row in answer.shown.splitlines()[1:]]
    assert [row[: len(cells)] for row, cells in zip(shown, lines)] == lines
    assert answer.steps[0].endswith(f"# made on {noted}")
    assert not on(scenario).attempt("%gpu -v").error


def test_a_card_that_is_divided_into_nothing(on: On) -> None:
    """Programs see no card there."""
    assert on("mig_empty")("%gpu") == "No GPU found. GPU 0 is divided (MIG) into nothing"


def test_a_card_without_memory_of_its_own(on: On) -> None:
    """It has the machine's, which is said; a process on it has no number of its own."""
    name, memory, load, *_ = columns(on("unified")("%gpu").splitlines()[1])
    assert (name, load) == ("0 NVIDIA GB10", "4 %")
    assert re.fullmatch(r"\d+\.\d of \d+\.\d GiB \(the machine's\)", memory)
    (gpu,) = json.loads(on("unified")("%gpu --json"))["gpus"]
    assert gpu["shared"] and gpu["total"] > gpu["free"] > 0
    assert gpu["processes"][0]["memory"] is None


def test_processes_of_the_machine_around_a_container(on: On) -> None:
    """Their numbers mean nothing here, and that is said."""
    shown = on("hostpids")("%gpu -v")
    assert "6.1 GiB, outside this container, or ended" in shown
    assert "memory n/a, outside this container, or ended" in shown


def test_a_tpu_is_named(on: On, tmp_path: Path) -> None:
    """It is said to be there and to be no GPU; what else Google has on the bus is not named."""
    for at, number in enumerate(("0x0063", "0x0063", "0x0042")):
        device = tmp_path / f"0000:00:0{at}.0"
        device.mkdir()
        (device / "vendor").write_text("0x1ae0\n")
        (device / "device").write_text(f"{number}\n")
    child = on("nogpu")
    child("from colab_magics.gpu import devices; from pathlib import Path")
    child(f"devices.DEVICES = Path({str(tmp_path)!r})")
    text = child("%gpu")
    child("devices.DEVICES = Path('/nowhere')")
    assert text == "No GPU found. A TPU is here (2 x v5e), which is no GPU and is not measured"


def test_a_lost_card_is_said_and_the_other_is_shown(on: On) -> None:
    """The one that answers keeps its number; the other is named with what to do."""
    lines = on("lost").attempt("%gpu").shown.splitlines()
    assert lines[1].startswith("1 NVIDIA A100-SXM4-40GB  ")
    assert lines[2].startswith("The driver has lost GPU 0: restart the machine")
    (gpu,) = json.loads(on("lost").attempt("%gpu --json").shown)["gpus"]
    assert (gpu["index"], gpu["power"]) == (1, 312.0)


def test_a_library_that_the_loader_does_not_find(library: Path, tmp_path: Path) -> None:
    """It is looked for where WSL, Colab and containers have it."""
    variables = nvml.environment(library, "t4")
    del variables["LD_LIBRARY_PATH"]
    variables.update(HOME=str(tmp_path), IPYTHONDIR=str(tmp_path))
    with Child(variables) as child:
        assert child("%gpu").startswith("No GPU found.")
        places = ("/nowhere", str(library))
        child(f"from colab_magics.gpu import nvidia; nvidia.PLACES = {places}")
        assert child("%gpu").splitlines()[1].startswith("0 Tesla T4  ")


def test_after_a_fork_it_is_asked_again(on: On) -> None:
    """A child process that was forked asks the driver by itself."""
    cell = (
        "import os\nfrom colab_magics.gpu.devices import take_snapshot\n"
        "take_snapshot()\nread, write = os.pipe()\nif os.fork() == 0:\n"
        "    os.write(write, take_snapshot().gpus[0].name.encode())\n    os._exit(0)\n"
        "os.wait()\nprint(os.read(read, 99).decode())"
    )
    assert on("t4")(cell) == "Tesla T4"


def test_verbose_says_what_the_driver_says_and_no_more(on: On) -> None:
    """``-v``: power, clocks and the rest for each card; what is not said is n/a and never 0."""
    answer = on("two").attempt("%gpu -v")
    assert not answer.error
    lines = [[*re.split(r"\s{2,}", line)] for line in answer.shown.splitlines()]
    text = {line[0]: line[1:] for line in lines}
    assert text["power"] == ["10 W of 70 W", "312 W of 400 W"]
    assert text["energy since the driver started"] == ["n/a", "5,123 kJ"]
    assert text["clock of the processor"] == ["n/a", "1,215 MHz"]
    assert text["clock of the memory"] == ["n/a", "1,215 MHz"]
    assert text["slowed down by"] == ["n/a", "power limit, heat (software)"]
    assert text["memory errors not corrected"] == ["n/a", "0"]
    assert text["bus"] == ["n/a", "PCIe generation 4, 16 lanes"]
    assert text["divided (MIG)"] == ["n/a", "no"]
    assert text["processes"] == ["none", "1"]
    assert "20.5 GiB, outside this container, or ended" in answer.shown
    assert [line.split("#")[0].strip() for line in answer.steps] == ["%gpu"]


def test_json_has_everything(on: On) -> None:
    """``--json`` prints bytes, watts and the rest; null where it is not said; records nothing."""
    answer = on("two").attempt("%gpu --json")
    state = json.loads(answer.shown)
    first, second = state["gpus"]
    assert (first["name"], first["index"], second["index"]) == ("Tesla T4", 0, 1)
    assert first["total"] == 15360 * 1024**2 and first["capability"] == [7, 5]
    assert first["energy"] is None and first["ecc"] is None and first["processes"] == []
    assert second["power"] == 312.0 and second["load"] == 87 and second["pcie"] == [4, 16]
    assert second["processes"][0]["pid"] == 9999999 and not second["processes"][0]["here"]
    assert answer.steps == []
    assert json.loads(on("mismatch").attempt("%gpu --json").shown)["reasons"]
    assert json.loads(on("nogpu").attempt("%gpu --json").shown) == {
        "schema": 1,
        "gpus": [],
        "frameworks": [],
        "reasons": [],
    }
    assert on("t4").attempt("%gpu -v require").error == "UsageError"


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("%gpu", 1),
        ("%gpu  # made on Tesla P100", 1),
        ("%gpu -v", 1),
        ("%gpu --json", 1),
        ("%gpu --dry-run", 1),
        ("%gpu require T4 --compute 7.5", 1),
        ("%gpu require V100", 1),
        ("%gpu watch", 1),
        ("%gpu free", 2),
    ],
)
def test_a_line_starts_the_driver_once(on: On, line: str, starts: int) -> None:
    """All that a line shows and remembers is of one session; ``free`` compares two moments."""
    child = on("two")
    child(f"{nvml.STARTS}before = starts()")
    child.attempt(line)
    assert child("print(starts() - before)") == f"{starts}"


def test_without_a_driver_that_works_it_is_started_once(on: On) -> None:
    """Nothing is tried again for the same line."""
    child = on("mismatch")
    child(f"{nvml.STARTS}before = starts()")
    child.attempt("%gpu -v")
    assert child("print(starts() - before)") == "1"


def test_two_gpus_are_two_lines(on: On) -> None:
    """Each card has a line, and both are noted."""
    answer = on("two").attempt("%gpu")
    first, second = map(columns, answer.shown.splitlines()[1:3])
    assert first[:4] == ["0 Tesla T4", "0.4 of 15.0 GiB", "0 %", "41 °C"]
    assert second[:4] == ["1 NVIDIA A100-SXM4-40GB", "21.1 of 40.0 GiB", "87 %", "66 °C"]
    assert answer.steps[0].endswith("# made on Tesla T4, NVIDIA A100-SXM4-40GB")


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("mismatch", "The NVIDIA driver was updated while running: restart the machine"),
        ("notloaded", "The NVIDIA driver is installed but not loaded: restart the machine"),
        ("blocked", "The system blocks GPU: on WSL update the driver of Windows"),
        ("denied", "This user may not use the NVIDIA driver: check the rights of /dev/nvidia*"),
        ("nogpu", "You can continue without one"),
    ],
)
def test_without_a_gpu_it_says_why_and_never_raises(on: On, scenario: str, reason: str) -> None:
    """Without a usable card, ``%gpu`` says so with the next action, and remembers nothing."""
    answer = on(scenario).attempt("%gpu")
    assert not answer.error
    (line,) = answer.shown.splitlines()
    assert line.startswith("No GPU found. ")
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
        ("two", "--count 2"),
        ("two", "--compute 8.0"),
        ("two", "--count 2 --compute 7.5 --cuda 12"),
        ("t4", "T4 --compute 7 --cuda 12.4"),
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
        ("t4", "--count 2"),
        ("two", "--count 2 --compute 8.0"),
        ("t4", "--compute 8.0"),
        ("t4", "--cuda 12.6"),
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


@pytest.mark.parametrize(
    ("scenario", "value", "text"),
    [
        ("t4", "", " · hidden by CUDA_VISIBLE_DEVICES"),
        ("t4", "0", ""),
        ("two", "GPU-5c0a6f1e-7b42-4d19-9e33-000000000004", ""),
        ("two", "GPU-5c0a6f1e-7b42-4d19-9e33-000000000a10", " · hidden by CUDA_VISIBLE_DEVICES"),
        ("two", "0", " · perhaps hidden by CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_card_that_programs_do_not_see(
    library: Path, tmp_path: Path, scenario: str, value: str, text: str
) -> None:
    """It is shown as hidden, no framework is said to run on it, and it meets no requirement."""
    home = {"HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": value}
    hidden = text.startswith(" · hidden")
    with Child({**nvml.environment(library, scenario), **home}) as child:
        assert child("%gpu").splitlines()[1].endswith(f"  550.54.14 (CUDA up to 12.4){text}")
        answer = child.attempt("%gpu require T4")
        assert bool(answer.error) == hidden
        assert ("Set CUDA_VISIBLE_DEVICES otherwise" in answer.message) == hidden


def test_what_is_here_is_said_with_what_was_asked(on: On) -> None:
    """The error says of each kind of card all that may be required of it."""
    answer = on("two").attempt("%gpu require --count 3 --compute 8.6")
    assert answer.message.splitlines()[0] == (
        "3 x GPU of compute capability 8.6 is required; here: "
        "Tesla T4 (15 GiB, compute 7.5, CUDA up to 12.4), "
        "NVIDIA A100-SXM4-40GB (40 GiB, compute 8.0, CUDA up to 12.4)."
    )


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("require --compute x", "no-version", "%gpu: x is no version."),
        ("require --cuda 12.4.1", "no-version", "%gpu: 12.4.1 is no version."),
        ("require --memory blue", "no-size", "%gpu: blue is no size."),
        ("require --count 0", "no-count", "%gpu: --count is 1 or more."),
        (
            "require --count two",
            "usage",
            "%gpu require: argument --count: invalid int value: 'two'.",
        ),
        (
            "require --framework troch",
            "unknown-choice",
            "%gpu require: there is no framework troch. Did you mean torch?",
        ),
        (
            "require --memroy 1GB",
            "unknown-option",
            "%gpu require has no option --memroy. Did you mean --memory?",
        ),
        ("requier", "unknown-command", "%gpu has no command requier. Did you mean require?"),
        ("watch stp", "unknown-choice", "%gpu watch: there is no action stp. Did you mean stop?"),
        ("free all", "usage", "%gpu free: all is one argument too many."),
        ("request", "usage", "%gpu request: the following arguments are required: NAME."),
        ("request T4 L4", "usage", "%gpu request: L4 is one argument too many."),
        ("request '<b>'", "no-gpu", "%gpu request: <b> is no GPU."),
        ("request TPU", "no-gpu", "%gpu request: TPU is no GPU."),
        ("request V5E1", "no-gpu", "%gpu request: V5E1 is no GPU."),
    ],
)
def test_a_slip_is_refused(run: Cells, line: str, code: str, text: str) -> None:
    """One line has the state, one the next action; nothing is remembered."""
    error: Any = run.attempt(f"%gpu {line}").error
    assert type(error).__name__ == "UsageError"
    assert (error.code, *str(error).split("\n")[:1]) == (code, text)
    assert run.steps() == []


@pytest.mark.parametrize(
    ("line", "symbol", "words"),
    [
        ("%gpu re", "re", ["require", "request"]),
        ("%gpu require --fr", "--fr", ["--framework"]),
        ("%gpu require --framework t", "t", ["torch", "tensorflow"]),
        ("%gpu watch ", "", ["stop"]),
    ],
)
def test_tab_offers_commands_options_and_choices(
    run: Cells, line: str, symbol: str, words: List[str]
) -> None:
    """All from one tree."""
    assert GpuMagic(get_session(run.shell)).complete(line, symbol) == words


@pytest.fixture
def with_torch(library: Path, tmp_path: Path) -> Iterator[Callable[[str, str, Kernels], Child]]:
    """A shell on a scenario whose torch is of this version and has these kernels."""
    started: List[Child] = []

    def start(scenario: str, version: str, kernels: Kernels) -> Child:
        put_torch(tmp_path / "packages", version, kernels)
        variables = nvml.environment(library, scenario)
        home = str(tmp_path / "home")
        variables.update(HOME=home, IPYTHONDIR=home)
        started.append(Child(variables))
        started[-1](f"import sys; sys.path.insert(0, {str(tmp_path / 'packages')!r})")
        return started[-1]

    yield start
    for child in started:
        child.__exit__(None, None, None)


ALL = [70, 75, 80, 86, 90]


@pytest.mark.parametrize(
    ("scenario", "version", "kernels", "verdicts"),
    [
        ("t4", "2.8.0+cu126", ALL, ["torch 2.8.0+cu126 runs here (sm_75)"]),
        (
            "two",
            "2.8.0+cu126",
            ALL,
            ["torch 2.8.0+cu126 runs here (sm_75)", "torch 2.8.0+cu126 runs here (sm_80)"],
        ),
        (
            "two",
            "1.5.0",
            [60, 70, 75],
            [
                "torch 1.5.0 runs here (sm_75)",
                "torch 1.5.0 has no kernels for sm_80 (NVIDIA A100-SXM4-40GB): %pin 'torch>=1.7' "
                "--torch-backend auto",
            ],
        ),
        (
            "t4",
            "2.8.0+cpu",
            [],
            ["torch 2.8.0+cpu is built without CUDA: %pin torch==2.8.0 --torch-backend auto"],
        ),
        (
            "t4",
            "2.11.0+cu130",
            ALL,
            [
                "torch 2.11.0+cu130 is built for CUDA 13.0, and the driver here (550.54.14) runs "
                "up to 12.4: %pin torch==2.11.0 --torch-backend auto"
            ],
        ),
        ("nogpu", "2.8.0+cu126", ALL, []),
    ],
)
def test_whether_torch_can_use_the_card(
    with_torch: Any, scenario: str, version: str, kernels: Kernels, verdicts: List[str]
) -> None:
    """Below the cards, from torch's files alone: it is not imported."""
    child = with_torch(scenario, version, kernels)
    shown = child("%gpu").splitlines()
    assert [line for line in shown if line.startswith("torch")] == verdicts
    assert child("import sys; print('torch' in sys.modules)") == "False"


def test_a_framework_may_be_required(with_torch: Any) -> None:
    """``--framework torch`` is met by a build that runs here, and else says what to take."""
    child = with_torch("two", "2.8.0+cu126", ALL)
    answer = child.attempt("%gpu require --framework torch")
    assert not answer.error
    assert answer.steps[0].startswith("%gpu require --framework torch")
    answer = child.attempt("%gpu require --framework tensorflow")
    assert answer.message.startswith(
        "tensorflow has to run here; tensorflow is not installed: %pin tensorflow."
    )
    answer = with_torch("two", "1.5.0", [75]).attempt("%gpu require A100 --framework torch")
    assert answer.error == "GpuUnmet"
    assert "torch 1.5.0 has no kernels for sm_80" in answer.message
    assert "Runtime" not in answer.message
    assert answer.message.endswith("Or edit this line: %gpu require A100 --framework torch")


def test_other_hardware_is_said_with_the_verdict(with_torch: Any) -> None:
    """On another card than the line was made on, both of its forms say so, and what torch does."""
    child = with_torch("two", "1.5.0", [60, 75])
    for line in ("%gpu  # made on Tesla T4", "%gpu require T4  # made on Tesla T4"):
        shown = child(f"# colab_magics:setup v1\n{line}").splitlines()
        assert "made on Tesla T4, now Tesla T4, NVIDIA A100-SXM4-40GB" in shown
        assert any(text.startswith("torch 1.5.0 has no kernels for sm_80") for text in shown)
    shown = with_torch("t4", "1.5.0", [75])("%gpu require T4  # made on Tesla T4")
    assert shown.splitlines()[0] == "Tesla T4 is here, as required"
    assert "torch" not in shown and "now" not in shown


def test_a_requirement_notes_its_card(on: On) -> None:
    """So that a later run can tell when another one that also fits is there."""
    (line,) = on("t4").attempt("%gpu require --memory 15GB").steps
    assert line.endswith("# made on Tesla T4")


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
    assert "ok     %gpu require T4" in here("%setup")
    elsewhere.attempt(cell)
    assert "differs  %gpu require T4" in elsewhere("%setup")


def test_the_scenarios_are_all_used() -> None:
    """A scenario that is added is used here."""
    files = Path(__file__).parent.glob("test_gpu*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    assert [name for name in nvml.SCENARIOS if f'"{name}"' not in text] == []


@pytest.mark.parametrize(
    ("scenario", "state", "note"),
    [("t4", "same", ""), ("l4", "differs", "torch 2.8.0+cu126 has no kernels for sm_89")],
)
def test_a_check_compares_the_gpu_and_the_framework(
    with_torch: Any, tmp_path: Path, scenario: str, state: str, note: str
) -> None:
    """Against the comment of the line and the pin, whose version need not name the build's CUDA.

    A build that cannot use the card that is here says so, though it is the recorded one.
    """
    info = tmp_path / "packages" / "torch-2.8.0+cu126.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.8.0+cu126\n")
    child = with_torch(scenario, "2.8.0+cu126", [75])
    cell = "# colab_magics:setup v1\n%gpu  # made on Tesla T4\n%pin torch==2.8.0"
    child(
        "from colab_magics.extension.session import get_session\n"
        f"get_session(get_ipython()).setup_texts[''] = {cell!r}"
    )
    changes = {x["kind"]: x for x in json.loads(child("%setup check --json"))["changes"]}
    assert (changes["gpu"]["recorded"], changes["gpu"]["state"]) == ("Tesla T4", state)
    framework = changes["framework"]
    assert (framework["now"], framework["state"]) == ("2.8.0+cu126", "same")
    assert framework["note"].startswith(note) and bool(framework["note"]) == bool(note)
