"""Restart and continue: a version that is loaded gives way, and what was under way goes on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
from doubles.index import make_wheel, serve
from support.kernels import environment, register
from support.window import LOAD, Server, Window, until

from .conftest import EVERY, PLAIN, Open, on

NEWEST, OLDER = "ipykernel-newest", "ipykernel-6.29.5"

NOTICE, TOAST = ".colab-magics-notice", ".Toastify__toast"


class Machine:
    """An environment whose kernel has ``tinypkg`` and ``tinyother`` 1.0 at the start of a test."""

    def __init__(self, name: str, folder: Path, index: str) -> None:
        self.name, self.index = name, index
        self.python = environment(name, folder)

    def reset(self) -> None:
        """Put both packages back."""
        from uv import find_uv_bin

        command = [find_uv_bin(), "pip", "install", "-q", "--python", str(self.python)]
        command += ["--default-index", self.index, "tinypkg==1.0", "tinyother==1.0"]
        subprocess.run(command, check=True)

    def serve_in(self, server: Server) -> None:
        """Make it a kernel of that server."""
        env = {"PIP_INDEX_URL": self.index, "PIP_CONFIG_FILE": os.devnull}
        register(self.name, self.python, server.data, env)


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with two packages, each in two versions."""
    folder = tmp_path_factory.mktemp("index")
    for name in ("tinypkg", "tinyother"):
        for version in ("1.0", "2.0"):
            make_wheel(folder, name, version)
    with serve(folder) as url:
        yield url


@pytest.fixture(scope="session", params=[NEWEST, pytest.param(OLDER, marks=pytest.mark.long)])
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, index: str
) -> Machine:
    """The environment of a kernel, made once."""
    return Machine(request.param, tmp_path_factory.mktemp("kernel") / "environment", index)


@pytest.fixture
def machine(made: Machine, server: Server) -> Machine:
    """That environment, as it was made, and a kernel of the server."""
    made.reset()
    made.serve_in(server)
    return made


def log(name: str) -> str:
    """Code that writes down that a cell has run, and in which process."""
    return f"import os; print({name!r}, os.getpid(), file=open(os.environ['HOME'] + '/ran', 'a'))"


def cells(flag: str = "--restart ") -> Tuple[str, ...]:
    """Five cells, of which the second asks for another version of what the first has imported."""
    first = f"{LOAD}\nimport tinypkg\n{log('a')}"
    return (first, f"%pin {flag}tinypkg==2.0\n{log('b')}", log("c"), log("d"), log("e"))


class Ran:
    """What has run, as the cells have written it down."""

    def __init__(self, server: Server) -> None:
        self._file = server.home / "ran"
        self._file.write_text("")

    @property
    def names(self) -> str:
        """The cells in their order; a bar where the process changed."""
        text, before = "", ""
        for name, process in self._lines():
            text += ("|" if before not in ("", process) else "") + name
            before = process
        return text

    def _lines(self) -> List[List[str]]:
        return [line.split() for line in self._file.read_text().splitlines()]

    def become(self, names: str) -> None:
        """Wait until that has run, and see that it stays at that."""
        try:
            until(lambda: self.names == names, f"the cells have run as {names}", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}; they ran as {self.names}") from None


def run_all(window: Window) -> None:
    """Run all cells, and do not wait."""
    window.js("void app.commands.execute('notebook:run-all-cells')")


def settled(window: Window) -> None:
    """Wait until nothing is under way any more."""
    until(lambda: window.js("return kernel?.status === 'idle'"), "the page sees an idle kernel")
    until(window.idle, "the kernel is idle")


@on("lab")
@pytest.mark.parametrize("made", [OLDER], indirect=True)
def test_an_older_kernel_too(server: Server, machine: Machine, open_notebook: Open) -> None:
    """The same with ipykernel 6.29, whose queue and whose shutdown are made otherwise."""
    goes_on(server, machine, open_notebook)


@on("lab", "lab-rtc", long=EVERY)
def test_run_all_restarts_and_goes_on(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """All five cells end in order in a new process; what ran before, ran in the old one only."""
    goes_on(server, machine, open_notebook)


def run_to_the_end(
    server: Server, machine: Machine, open_notebook: Open, shows: str = ""
) -> Tuple[Window, Ran]:
    """Run All of the five cells: all end in order in a new process; the page shows a text."""
    ran = Ran(server)
    window = open_notebook(server, *cells(), kernel=machine.name)
    run_all(window)
    if shows:
        window.page.get_by_text(shows).wait_for(timeout=60_000)
    ran.become("a|abcde")
    settled(window)
    assert ran.names == "a|abcde"
    return window, ran


def goes_on(server: Server, machine: Machine, open_notebook: Open) -> None:
    """Run All of the five cells, up to the end."""
    shows = "Kernel restarted for tinypkg, to Run All again."
    window, _ = run_to_the_end(server, machine, open_notebook, shows)
    assert window.dialogs == 0
    assert window.saved() == ["%pin tinypkg==2.0"]


@on(*PLAIN, long=EVERY)
def test_a_button_does_the_same(server: Server, machine: Machine, open_notebook: Open) -> None:
    """Without the flag Run All stops at a notice and a toast, whose buttons run all of it again."""
    ran = Ran(server)
    window = open_notebook(server, *cells(""), kernel=machine.name)
    run_all(window)
    in_cell = window.page.locator(NOTICE)
    in_toast = window.page.locator(TOAST).filter(has_text="this kernel still uses 1.0")
    for offered in (in_cell, in_toast):
        button = offered.get_by_role("button", name="Restart and Run All again")
        button.wait_for(timeout=60_000)
        assert "tinypkg 2.0 is installed; this kernel still uses 1.0." in offered.inner_text()
    assert not window.page.get_by_text("RestartRequired").is_visible(), "it is drawn once"
    settled(window)
    assert ran.names == "a", "nothing behind the error has run"
    (in_toast if server.app == "lab" else in_cell).get_by_role("button", name="Run All").click()
    ran.become("a|abcde")
    settled(window)
    assert ran.names == "a|abcde"
    assert window.dialogs == in_cell.count() == 0
    until(lambda: not in_toast.get_by_role("button", name="Run All").count(), "the toast goes too")


@on("lab", long=EVERY)
@pytest.mark.long
def test_ten_times_out_of_ten(server: Server, machine: Machine, open_notebook: Open) -> None:
    """Ten notebooks, one after the other: never a stale run, never another order."""
    for at in range(10):
        machine.reset()
        ran = Ran(server)
        window = open_notebook(server, *cells(), kernel=machine.name, name=f"round-{at}")
        run_all(window)
        ran.become("a|abcde")
        settled(window)
        assert ran.names == "a|abcde", f"round {at}"
        window.page.close()
        server.end_kernels()


@on("lab", long=EVERY)
def test_what_is_typed_meanwhile_stays(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """Typed text is not taken for shortcuts (dd deletes a cell), and none of it is lost."""
    ran = Ran(server)
    window = open_notebook(server, *cells(), "note = 1", kernel=machine.name)
    text = "  # " + "0123456789dd" * 5
    window.cell(5).locator(".cm-content").click()
    run_all(window)
    window.page.locator(".jp-Notebook .jp-Cell").last.locator(".cm-content").click()
    window.page.keyboard.press("Control+End")
    window.page.keyboard.type(text, delay=60)
    ran.become("a|abcde")
    settled(window)
    assert window.texts[-1] == "note = 1" + text
    assert len(window.texts) == 7


@on("lab", long=EVERY)
def test_a_second_restart_for_the_same_is_refused(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """Two cells that want different versions: one restart, then an explanation, and no loop."""
    ran = Ran(server)
    old = f"{LOAD}\n%pin tinypkg==1.0\nimport tinypkg\n{log('a')}"
    new = f"%pin --restart tinypkg==2.0\n{log('b')}"
    window = open_notebook(server, old, new, log("c"), kernel=machine.name)
    run_all(window)
    ran.become("a|a")
    shown = window.page.locator(".jp-Notebook")
    until(lambda: "Not restarted again" in shown.inner_text(), "it is explained", 60)
    settled(window)
    assert ran.names == "a|a"


@pytest.mark.long
@on("lab", long=EVERY)
def test_an_error_further_down_stops_there(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """After the restart a cell that fails stops what is behind it, as in any Run All."""
    ran = Ran(server)
    four = list(cells())
    four[3] = "1 / 0"
    window = open_notebook(server, *four, kernel=machine.name)
    run_all(window)
    ran.become("a|abc")
    shown = window.page.locator(".jp-Notebook")
    until(lambda: "ZeroDivisionError" in shown.inner_text(), "the error is shown")
    settled(window)
    assert ran.names == "a|abc"


@on("lab", long=EVERY)
def test_two_cells_ask_for_two_things(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """What is run after a restart may ask for one more, for another reason."""
    ran = Ran(server)
    first = f"{LOAD}\nimport tinypkg, tinyother\n{log('a')}"
    pins = [f"%pin --restart tiny{name}==2.0\n{log(name[0])}" for name in ("pkg", "other")]
    window = open_notebook(server, first, *pins, log("z"), kernel=machine.name)
    run_all(window)
    ran.become("a|ap|apoz")
    settled(window)
    assert ran.names == "a|ap|apoz"
    assert window.saved() == ["%pin tinypkg==2.0 tinyother==2.0"]


@on("notebook", long=EVERY)
def test_a_cell_run_alone_goes_on_alone(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """A cell that was run by itself is run again behind the setup cell, and no other."""
    ran = Ran(server)
    window = open_notebook(server, *cells(), kernel=machine.name)
    window.run(0, "")
    window.start(1)
    ran.become("a|b")
    settled(window)
    assert ran.names == "a|b"


@on("lab", long=EVERY)
def test_what_a_restart_by_hand_has_cancelled_stays_so(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """Cells that were under way when a person restarted the kernel are not run by a later one."""
    ran = Ran(server)
    long = f"{log('x')}\nimport time; time.sleep(600)"
    window = open_notebook(server, long, log("y"), *cells()[:2], kernel=machine.name)
    window.start(0)
    window.start(1)
    ran.become("x")
    window.js("await panel.sessionContext.restartKernel()")
    settled(window)
    window.run(2, "")
    window.start(3)
    ran.become("x|a|b")
    settled(window)
    assert ran.names == "x|a|b"


@on("notebook", long=EVERY)
def test_a_tab_in_the_background_goes_on(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """With another tab in front, the same happens in the same order."""
    ran = Ran(server)
    window = open_notebook(server, *cells(), kernel=machine.name)
    run_all(window)
    other = window.page.context.new_page()
    other.goto("about:blank")
    other.bring_to_front()
    ran.become("a|abcde")
    settled(window)
    assert ran.names == "a|abcde"


@on("lab", long=EVERY)
def test_saved_output_offers_nothing(server: Server, machine: Machine, open_notebook: Open) -> None:
    """The button belongs to the page that drew it: opened again, the notebook has none."""
    ran = Ran(server)
    window = open_notebook(server, *cells(""), kernel=machine.name)
    run_all(window)
    window.page.locator(".colab-magics-restart").wait_for(timeout=60_000)
    settled(window)
    window.js("return panel.context.save()")
    again = open_notebook(server, name=window.path.stem)
    again.page.get_by_text("RestartRequired").wait_for()
    assert again.page.locator(".colab-magics-restart").count() == 0
    assert ran.names == "a"


@on("lab-bare")
def test_without_the_extension_it_is_an_error(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """Where nothing could restart the kernel, the cell says what to do, and nothing hangs."""
    ran = Ran(server)
    window = open_notebook(server, *cells(), kernel=machine.name)
    run_all(window)
    shown = window.page.locator(".jp-Notebook")
    until(lambda: "Restart the kernel, then run" in shown.inner_text(), "it says what to do", 60)
    settled(window)
    assert ran.names == "a"


@on("notebook", long=EVERY)
def test_undo_in_the_open_notebook(server: Server, machine: Machine, open_notebook: Open) -> None:
    """``%pin undo`` takes the line in the open notebook back too, and asks for a restart."""
    lines = (f"{LOAD}\n%pin tinypkg==1.0", "%pin tinypkg==2.0\nimport tinypkg", "%pin undo")
    window = open_notebook(server, *lines, kernel=machine.name)
    window.run(0, "added on top, saved")
    window.run(2, "%pin tinypkg==1.0 -> %pin tinypkg==2.0 - saved")
    assert "undone: tinypkg 2.0 -> 1.0" in window.run(3, "this kernel still uses 2.0")
    until(lambda: window.saved() == ["%pin tinypkg==1.0"], "the line from before is on disk")
    identity = window.js("return panel.content.widgets[3].model.id")
    window.page.locator(NOTICE).get_by_role("button").click()
    until(lambda: "nothing to undo" in window.shown(identity), "it goes on, and does nothing twice")
    assert window.saved() == ["%pin tinypkg==1.0"]
    assert window.dialogs == 0
