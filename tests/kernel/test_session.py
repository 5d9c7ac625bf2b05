"""``%session`` on a real Jupyter Server, with real kernels beside this one."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import psutil
import pytest
from support import serving
from support.front_end import Page, started
from support.machine import Machine
from support.notebooks import notebook
from support.serving import Ask, open_on, window
from support.waiting import until

LOAD = "%load_ext colab_magics"
#: Somebody is there: VS Code is known by this.
SOMEBODY = {"cellId": "vscode-notebook-cell:/x#W0"}


def idle(ask: Ask) -> bool:
    """Whether all kernels are, as the server has heard."""
    return all(entry["kernel"]["execution_state"] == "idle" for entry in ask("GET", "", None))


@pytest.fixture
def other(ask: Ask, machine: Machine, folder: Path) -> Dict[str, Any]:
    """A notebook that is open beside the one of `page`, on a kernel of its own."""
    notebook(folder / "other.ipynb", "1")
    session = open_on(ask, "other.ipynb")
    with window(machine, session) as page:

        def used() -> bool:
            page.ok("1")  # a server that has not heard of that says "starting" until the next time
            return idle(ask)

        until(used)
    return session


@pytest.fixture
def page(ask: Ask, machine: Machine, folder: Path, other: Dict[str, Any]) -> Iterator[Page]:
    """A notebook whose kernel has the extension loaded."""
    notebook(folder / "mine.ipynb", LOAD)
    with window(machine, open_on(ask, "mine.ipynb")) as opened:
        opened.ok(LOAD)
        until(lambda: opened.ok("1") and idle(ask))
        yield opened


def names(ask: Ask) -> List[str]:
    return sorted(entry["path"] for entry in ask("GET", "", None))


def listed(page: Page) -> List[Dict[str, Any]]:
    kernels: List[Dict[str, Any]] = json.loads(page.ok("%session list --json").text)
    return kernels


def test_the_list_has_every_kernel(page: Page, other: Dict[str, Any]) -> None:
    """Each notebook with its state and its own process's memory; this one is told apart."""
    mine, beside = listed(page)
    assert (mine["name"], mine["here"], mine["state"]) == ("mine.ipynb", True, "busy")
    assert (beside["name"], beside["here"], beside["state"]) == ("other.ipynb", False, "idle")
    assert beside["kernel"] == other["kernel"]["id"]
    assert int(page.ok("import os; print(os.getpid())").text) == mine["pid"]
    words = psutil.Process(beside["pid"]).cmdline()
    assert any(beside["kernel"] in word for word in words)
    assert abs(beside["memory"] - psutil.Process(beside["pid"]).memory_info().rss) < 50e6
    shown = page.ok("%session list").text.split("\n")
    assert "this one" in shown[1] and "idle for" in shown[2] and "MB" in shown[2]


def test_the_servers_token_is_shown_nowhere(page: Page) -> None:
    """Neither in the list nor in what is known of the server."""
    assert "token" not in page.ok("%session list --json").text
    shown = page.ok("print(get_ipython().run_line_magic('session', '-q -o list'))").text
    assert "token" not in shown and "other.ipynb" in shown


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_kernel_is_stopped_by_name(page: Page, ask: Ask, other: Dict[str, Any], by: str) -> None:
    """It ends, with its process; this one stays; once more there is nothing of that name."""
    pid = listed(page)[1]["pid"]
    name = "other.ipynb" if by == "name" else other["kernel"]["id"][:8]
    shown = page.ok(f"%session stop {name} --yes").text
    assert "Stopped: other.ipynb; " in shown and "MB of memory are free again" in shown
    assert not psutil.pid_exists(pid) and names(ask) == ["mine.ipynb"]
    again = page.run("%session stop other.ipynb --yes")
    assert "There is no notebook other.ipynb here" in again.text
    assert "There are: mine.ipynb" in again.text


def test_what_is_idle_is_stopped_and_what_is_not_stays(
    page: Page, ask: Ask, machine: Machine, folder: Path
) -> None:
    """``--idle`` ends those on which nothing runs, never this one; a second time there is none."""
    notebook(folder / "busy.ipynb", "1")
    busy = open_on(ask, "busy.ipynb")
    with window(machine, busy) as working:
        until(lambda: working.ok("1") and idle(ask))
        working._client.execute("import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)")
        until(lambda: ("busy.ipynb", "busy") in [(o["name"], o["state"]) for o in listed(page)])
        assert "no other kernel was idle for 1 h" in page.ok("%session stop --idle 1h --yes").text
        assert "Stopped: other.ipynb" in page.ok("%session stop --idle 0s --yes").text
        assert names(ask) == ["busy.ipynb", "mine.ipynb"]
        assert "Nothing to stop" in page.ok("%session stop --idle 0s --yes").text
        (folder / "go").touch()


def test_what_no_page_ever_used_is_idle(page: Page, ask: Ask, folder: Path) -> None:
    """A kernel whose page never came says that it starts, for ever: its time counts from there."""
    notebook(folder / "ghost.ipynb", "1")
    open_on(ask, "ghost.ipynb")
    (ghost,) = (entry for entry in listed(page) if entry["name"] == "ghost.ipynb")
    assert ghost["state"] == "starting" and ghost["idle_seconds"] > 0
    assert "Nothing to stop" in page.ok("%session stop --idle 1h --yes").text
    assert "Stopped: ghost.ipynb, other" in page.ok("%session stop --idle 0s --yes").text
    assert names(ask) == ["mine.ipynb"]


@pytest.mark.parametrize("ask", ["no token", "tls", "unix"], indirect=True)
def test_a_server_of_any_kind_does_it(page: Page, ask: Ask) -> None:
    """Without a token, with a certificate of its own, and on a unix socket kernels end, too."""
    assert "Stopped: other.ipynb" in page.ok("%session stop other.ipynb --yes").text
    assert names(ask) == ["mine.ipynb"]


def test_a_server_that_refuses_is_told_apart(page: Page, ask: Ask, machine: Machine) -> None:
    """One that no token is written down of, as with a password alone, is there and refuses."""
    for written in machine.home.rglob("jpserver-*.json"):
        written.write_text(json.dumps({**json.loads(written.read_text()), "token": ""}))
    for line in ("%session list", "%session stop other.ipynb --yes", "%session restart"):
        shown = page.run(line).text
        assert "refuses this kernel (403)" in shown and "JUPYTER_TOKEN" in shown


def test_this_kernel_does_not_stop_itself(page: Page, ask: Ask) -> None:
    """Its own name is refused, with what to do instead; the other one of the line stays too."""
    shown = page.run("%session stop other.ipynb mine.ipynb --yes").text
    assert "this kernel cannot stop itself" in shown and "%session restart" in shown
    assert names(ask) == ["mine.ipynb", "other.ipynb"]


def test_a_name_of_several_is_refused(page: Page, ask: Ask, folder: Path) -> None:
    """Two notebooks of one file name are told apart by their paths."""
    for place in ("a", "b"):
        (folder / place).mkdir()
        notebook(folder / place / "same.ipynb", "1")
        open_on(ask, f"{place}/same.ipynb")
    shown = page.run("%session stop same.ipynb --yes").text
    assert "same.ipynb is ambiguous: a/same.ipynb" in shown
    assert "Stopped: a/same.ipynb" in page.ok("%session stop a/same.ipynb --yes").text
    assert "b/same.ipynb" in names(ask)


def test_nobody_is_asked_where_nobody_is(page: Page, ask: Ask) -> None:
    """Without ``--yes`` and a person it is refused at once, and nothing ends."""
    answer = page.run("%session stop other.ipynb", allow_stdin=False)
    assert "Nobody is here to answer" in answer.text and "Add --yes" in answer.text
    assert names(ask) == ["mine.ipynb", "other.ipynb"]


@pytest.mark.parametrize(("answer", "count"), [("n", 2), ("", 2), ("y", 1)])
def test_a_person_is_asked(page: Page, ask: Ask, answer: str, count: int) -> None:
    """Only a yes ends the kernel; anything else leaves it, and says so."""

    def says() -> None:
        assert "Stop other.ipynb?" in page._client.get_stdin_msg(timeout=60)["content"]["prompt"]
        page.reply(answer)

    person = threading.Thread(target=says)
    person.start()
    shown = page.run("%session stop other.ipynb", metadata=SOMEBODY).text
    person.join()
    assert ("Nothing was stopped" in shown) == (count == 2)
    assert len(names(ask)) == count


@pytest.mark.parametrize("ask", ["", "no token"], indirect=True)
def test_a_kernel_restarts_itself(page: Page, ask: Ask, machine: Machine) -> None:
    """The process is another one, of the same kernel, and what was queued has not run."""
    client = page._client
    before = int(page.ok("import os; kept = 1; print(os.getpid())").text)
    client.execute("%session restart")
    client.execute("open('queued', 'w')")
    until(lambda: not psutil.pid_exists(before), 60)
    (mine,) = (entry for entry in ask("GET", "", None) if entry["path"] == "mine.ipynb")
    with window(machine, mine) as new:  # the old client may miss what is published at once
        after = new.ok("import os; print(os.getpid(), 'kept' in dir(), os.path.exists('queued'))")
    assert after.text.split()[1:] == ["False", "False"] and int(after.text.split()[0]) != before
    assert names(ask) == ["mine.ipynb", "other.ipynb"]


@pytest.mark.skipif(os.name == "nt", reason="no process can be halted there")
def test_a_restart_that_may_still_come_is_no_refusal(page: Page, ask: Ask) -> None:
    """A server that does not answer in time is said to be late: later it restarts the kernel."""
    page.ok("import os; from colab_magics.notebook import restart; restart.GRACE = 0.5")
    server, kernel = map(
        int, page.ok("print(os.environ['JPY_PARENT_PID'], os.getpid())").text.split()
    )
    os.kill(server, signal.SIGSTOP)
    try:
        shown = page.run("%session restart").text
        assert "has not been restarted yet; it may still be" in shown and "refused" not in shown
        assert "Save those that you need" in shown and psutil.pid_exists(kernel)
    finally:
        os.kill(server, signal.SIGCONT)
    until(lambda: not psutil.pid_exists(kernel))
    until(lambda: idle(ask))


def test_a_server_whose_port_was_taken_is_asked_at_its_own(
    machine: Machine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test's own server: another program may listen on the port before it does."""
    with socket.socket() as faster:
        faster.bind(("127.0.0.1", 0))
        faster.listen()
        monkeypatch.setattr(serving, "free_port", lambda: faster.getsockname()[1])
        with serving.serving(machine, folder) as ask:
            assert ask("GET", "", None) == []


def test_time_that_runs_out_is_said_below_the_next_cell(machine: Machine, folder: Path) -> None:
    """In a notebook that is open, once, below the cell that ends then; elsewhere never."""
    uptime = time.time() - psutil.Process(1).create_time()
    machine.variables["COLAB_MAGICS_SESSION_HOURS"] = str(uptime / 3600 + 0.4)
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok(LOAD, allow_stdin=False)
        assert page.ok("1", allow_stdin=False).text == "1"
        assert "min" in page.ok("1").text and "%drive flush" not in page.ok("1").text
    assert os.environ.get("COLAB_MAGICS_SESSION_HOURS") is None
