"""``%shell --background`` and ``%jobs``: real jobs, found again by shells in other processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from colab_magics.errors import CommandFailed, hide
from colab_magics.shell.jobs import identity, launch, logs
from colab_magics.shell.jobs.job import FACTS, Job, every, find, folder

from .cells import Cells, Child

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("bash") is None, reason="elsewhere: Linux with bash"
)


@pytest.fixture(autouse=True)
def nothing_left(home: Path) -> Iterator[None]:
    """What a test has started is ended after it."""
    yield
    for job in every():
        if job.running:
            launch.stop(job, 0.1)


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something to be true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)
    return true()


def known(run: Cells, name: str) -> Dict[str, Any]:
    """What ``--json`` says of a job."""
    found: List[Dict[str, Any]] = json.loads(run(f"%jobs {name} --json"))
    return found[0]


def job(name: str) -> Job:
    found = find(name)
    assert found is not None
    return found


def log(name: str) -> str:
    return job(name).log.read_text()


#: Counts to three, and waits before each next number.
COUNT = "for i in 1 2 3; do echo $i; until [ -e go$i ]; do sleep 0.02; done; done"


def count(folder: Path) -> None:
    """Have it go on, each time when it waits."""
    for number in (1, 2, 3):
        until(lambda number=number: log("one").count("\n") == number)  # type: ignore[misc]
        (folder / f"go{number}").touch()


def child() -> Child:
    """A kernel's process, which may be ended."""
    return Child(os.environ)


# ---------------------------------------------------------------------- what a job is
def test_a_job_begins_where_the_shell_stands(run: Cells, tmp_path: Path) -> None:
    """Directory, variables, functions and the environment are the shell's; it leaves it nothing."""
    run(f"%%shell\ncd {tmp_path}; export E=env; X='a b'; f() {{ echo \"$1|$X|$E|$PWD\"; }}")
    who = "me"
    run.shell.user_ns["who"] = who
    run("%shell --background one f {who}; X=other; cd /")
    run("%jobs wait one")
    assert log("one") == f"me|a b|env|{tmp_path}\n"
    assert run('%shell echo "$X $PWD"') == f"a b {tmp_path}"


def test_the_cell_ends_before_the_job(run: Cells, tmp_path: Path) -> None:
    """The line comes back at once; the job goes on until what it waits for is there."""
    run(f"%%shell --background one\necho begun\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
    assert known(run, "one")["state"] == "running"
    until(lambda: log("one") == "begun\n")
    assert run("%jobs one").split() == ["one", "running", "begun"]
    (tmp_path / "go").touch()
    assert "one: done" in run("%jobs wait one")


@pytest.mark.parametrize(
    ("command", "state", "said"),
    [
        ("echo fine", "done", "one: done"),
        ("echo why >&2; exit 3", "failed", "one: failed with status 3"),
        ("nosuchcommand", "failed", "one: failed with status 127"),
        ("kill -9 $$", "killed", "one: killed by SIGKILL"),
        ("kill -TERM $$", "killed", "one: killed by SIGTERM"),
        ("exec true", "done", "one: done"),
        ("set -e; false; echo no", "failed", "one: failed with status 1"),
    ],
)
def test_how_a_job_ended_is_said(run: Cells, command: str, state: str, said: str) -> None:
    """Done, failed with a status and killed by a signal are told apart; only done is no error."""
    run(f"%shell --background one {command}")
    reply = run.attempt("%jobs wait one")
    assert said in reply.shown
    assert isinstance(reply.error, CommandFailed) == (state != "done")
    assert known(run, "one")["state"] == state


def test_an_error_ends_with_what_was_said_last(run: Cells) -> None:
    """The error of ``wait`` holds the last lines of the log, and names the rest of it."""
    run("%shell --background one seq 100; echo the reason >&2; exit 1")
    shown = run.attempt("%jobs wait one").shown
    assert "the reason" in shown and "100" in shown and "\n1\n" not in shown
    assert "%jobs log one --all" in shown


def test_what_a_job_leaves_in_the_background_is_the_job(run: Cells, tmp_path: Path) -> None:
    """It runs until the last of its processes has ended, and ``stop`` ends them all."""
    run(f"%shell --background one (trap '' TERM HUP; echo $BASHPID > {tmp_path}/pid; sleep 60) &")
    pid = int(until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    assert known(run, "one")["state"] == "running"
    launch.stop(job("one"), 0.3)
    assert not identity.since(pid)
    assert known(run, "one")["state"] == "stopped"


def test_a_time_limit_ends_a_job(run: Cells) -> None:
    """``--timeout`` counts for a job as for a command, and is said."""
    run("%shell --background one --timeout 0.2 sleep 60")
    assert "one: ended by --timeout" in run.attempt("%jobs wait one").shown


def test_the_order_of_both_outputs_is_kept(run: Cells) -> None:
    """Errors stand in the log where they came."""
    run("%%shell --background one\nfor i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done")
    run("%jobs wait one")
    assert log("one") == "".join(f"out {i}\nerr {i}\n" for i in range(1, 6))


# ---------------------------------------------------------------------- names
def test_the_same_line_again_starts_nothing(run: Cells) -> None:
    """While a job runs, its line says so and leaves it; another command of that name is refused."""
    run("%shell --background one sleep 60")
    first = known(run, "one")["session"]
    assert "one runs already" in run("%shell --background one sleep 60")
    reply = run.attempt("%shell --background one sleep 61")
    assert "one runs already: sleep 60" in reply.shown and reply.error is not None
    assert known(run, "one")["session"] == first


def test_a_new_job_keeps_the_log_of_the_one_before(run: Cells) -> None:
    """After its end the name is free; the log before is there until the next time."""
    for word in ("first", "second", "third"):
        run(f"%shell --background one echo {word}")
        run("%jobs wait one")
    assert run("%jobs log one") == "third"
    assert run("%jobs log one --before") == "second"


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "-x", "a;b", "x" * 65, "log", "stop"])
def test_a_name_that_cannot_be_one_is_refused(run: Cells, name: str) -> None:
    """One line says so, and nothing is there."""
    reply = run.attempt(f"%shell --background {name} true")
    assert reply.error is not None and not list(folder().glob("*"))


@pytest.mark.parametrize(
    "line",
    [
        "%jobs nosuch",
        "%jobs log nosuch",
        "%jobs wait",
        "%jobs log one -n 0",
        "%jobs log one --before",
        "%jobs stop",
        "%jobs --nosuch",
        "%shell --log x true",
        "%jobs remove running",
    ],
)
def test_bad_lines_change_nothing(run: Cells, line: str) -> None:
    """Each is one clear error, and the jobs are as they were."""
    run("%shell --background one echo kept")
    run("%jobs wait one")
    run("%shell --background running sleep 60")
    reply = run.attempt(line)
    assert type(reply.error).__name__ == "UsageError", reply
    assert [one.state for one in every()] == ["done", "running"]


# ---------------------------------------------------------------------- it outlives the kernel
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_outlives_its_kernel(run: Cells, tmp_path: Path, number: int) -> None:
    """However the kernel ends, the job goes on, another one finds it, and the log is whole.

    What ``%shell`` has left in the background ends with it all the same.
    """
    with child() as kernel:
        kernel(f"%shell cd {tmp_path}; sleep 300 & echo $! > left")
        kernel("%shell --background one " + COUNT)
        kernel.process.send_signal(number)
        kernel.process.wait()
    left = int((tmp_path / "left").read_text())
    until(lambda: not identity.since(left))
    assert known(run, "one")["state"] == "running"
    count(tmp_path)
    run("%jobs wait one")
    assert log("one") == "1\n2\n3\n"


#: Has a kernel say that it waits for a job.
_TELLS = """\
from pathlib import Path
from colab_magics.magics import following
looked = following._later
def later(job, tick):
    Path("waiting").touch()
    return looked(job, tick)
following._later = later"""


def test_ctrl_c_in_the_kernel_does_not_reach_a_job(run: Cells) -> None:
    """An interrupt ends the waiting; the job goes on, which is said."""
    with child() as kernel:
        kernel("%shell --background one sleep 60")
        kernel(_TELLS)
        kernel.ask("%jobs wait one")
        until(Path("waiting").exists)
        kernel.interrupt()
        answer = kernel.answer()
    assert answer.error == "KeyboardInterrupt"
    assert "one goes on. To end it: %jobs stop one" in answer.shown
    assert known(run, "one")["state"] == "running"


def test_a_keeper_that_is_killed_loses_no_job(run: Cells) -> None:
    """The job counts as running while one of its processes lives, and can be stopped."""
    run("%shell --background one sleep 60")
    os.kill(job("one").keeper, signal.SIGKILL)
    until(lambda: not identity.since(job("one").keeper))
    assert known(run, "one")["state"] == "running"
    run("%jobs stop one")
    assert not job("one").family.members()


def test_killed_and_gone_with_the_machine_are_told_apart(run: Cells) -> None:
    """Without a last word from its keeper: killed on this machine, lost on one that went away."""
    run("%shell --background one sleep 60")
    now = job("one")
    os.kill(now.keeper, signal.SIGKILL)
    os.killpg(now.session, signal.SIGKILL)
    until(lambda: not job("one").running)
    assert run("%jobs one").split() == ["one", "killed"]
    facts = json.loads((now.folder / FACTS).read_text())
    (now.folder / FACTS).write_text(json.dumps({**facts, "boot": "another"}))
    assert "lost, the machine went away" in run("%jobs one")


def test_a_number_that_another_process_has_now_is_no_job(run: Cells) -> None:
    """After its end, a process with the number of a job's is not taken for it."""
    run("%shell --background one true")
    run("%jobs wait one")
    until(lambda: not identity.since(job("one").keeper))
    facts = json.loads((job("one").folder / FACTS).read_text())
    (job("one").folder / "end.json").unlink()
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (job("one").folder / FACTS).write_text(json.dumps({**facts, "session": other.pid}))
        assert not job("one").running
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("command", ["setsid sleep 60 & wait", "timeout 60 sleep 61"])
def test_what_left_the_session_is_stopped_too(run: Cells, tmp_path: Path, command: str) -> None:
    """Wherever a program of a job went, it counts as the job's, and ends with it."""
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    run(f"%shell --background one exec 9> '{tmp_path}/held'; {command}")
    until(lambda: b"sleep" in b"".join(_words(one.pid) for one in job("one").family.members()))
    run("%jobs stop one")
    os.set_blocking(held, True)
    assert os.read(held, 1) == b"", "every process that held it has ended"
    os.close(held)


def _words(pid: int) -> bytes:
    return (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")[0]


def test_a_time_out_ends_what_ignores_it(run: Cells) -> None:
    """``--timeout`` ends a job for good, by force where one of its programs goes on."""
    run("%shell --background one --timeout 0.2 (trap '' TERM; sleep 60; echo survived)")
    reply = run.attempt("%jobs wait one --timeout 20")
    assert "ended by --timeout" in str(reply.error) and log("one") == ""
    assert job("one").family.members() == []


def test_a_stop_that_is_cut_off_leaves_no_mark(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that goes on after it is not told as stopped when it ends well."""
    run("%shell --background one trap '' TERM; until [ -e go ]; do sleep 0.02; done")

    def interrupted(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(launch.time, "sleep", interrupted)
        assert isinstance(run.attempt("%jobs stop one").error, KeyboardInterrupt)
    Path("go").touch()
    run("%jobs wait one")
    assert known(run, "one")["state"] == "done"


def test_a_job_is_nobodys_child(run: Cells) -> None:
    """Nothing of a job is in the kernel's own session or among its children."""
    run("%shell --background one sleep 60")
    one = job("one")
    members = one.family.members()
    of_job = {each.pid for each in members} | {one.keeper}
    mine = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(os.getpid())], stdout=subprocess.PIPE, text=True
    ).stdout.split()
    assert not of_job & {int(pid) for pid in mine}
    assert members and os.getsid(0) not in {one.session, os.getsid(one.keeper)}


# ---------------------------------------------------------------------- the log
def test_a_progress_bar_is_one_line_of_the_list(run: Cells) -> None:
    """Of a line that was written over, the list shows what is seen at last."""
    run(r"%shell --background one printf '10%%\r50%%\r100%%'")
    run("%jobs wait one")
    assert run("%jobs one").split() == ["one", "done", "100%"]


def test_the_last_lines_of_a_long_log(run: Cells) -> None:
    """``log`` shows twenty lines, ``-n`` as many as it says, ``--all`` what a notebook holds."""
    run("%shell --background one seq 100000")
    run("%jobs wait one")
    assert run("%jobs log one").split() == [str(i) for i in range(99981, 100001)]
    assert run("%jobs log one -n 3").split() == ["99998", "99999", "100000"]
    shown = run("%jobs log one --all")
    assert shown.startswith("1\n2\n") and "left out here" in shown and len(shown) < 100_000
    assert run("x = %jobs -q -o log one --all\nlen(x)").endswith("588895")
    assert "last log" not in run("%shell"), "that is of %shell's own commands"


def test_following_shows_what_comes(run: Cells, tmp_path: Path) -> None:
    """``follow`` shows the log as it grows, and ends with the job and with how it did."""
    run(f"%shell cd {tmp_path}")
    run("%shell --background one " + COUNT)
    with child() as kernel:
        kernel.ask("%jobs follow one")
        count(tmp_path)
        answer = kernel.answer()
    assert answer.shown == "1\n2\n3\none: done"


def test_a_log_without_end_keeps_its_last_part(
    run: Cells, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A log that grows too large is put aside, so that two such parts are all that it takes."""
    monkeypatch.setattr(logs, "LIMIT", 1000)
    written = logs.Written(tmp_path / "log")
    for number in range(1000):
        written.write(b"%d\n" % number)
    sizes = [(tmp_path / name).stat().st_size for name in ("log", "log.1")]
    assert max(sizes) < 1100 and not written.trouble
    kept = (tmp_path / "log.1").read_text() + (tmp_path / "log").read_text()
    assert kept.endswith("998\n999\n") and kept.split() == [
        str(n) for n in range(int(kept.split()[0]), 1000)
    ]


def test_a_copy_of_the_log_is_where_it_was_asked_for(run: Cells, tmp_path: Path) -> None:
    """It says what ran, holds all that was written, and says how that ended; it is added to."""
    for number in (1, 2):
        run(f"%shell --background one --log {tmp_path}/there/x.log echo hello {number}")
        run("%jobs wait one")
        until(lambda: not identity.since(job("one").keeper))
    lines = (tmp_path / "there/x.log").read_text().splitlines()
    assert sum("ended with status 0" in line for line in lines) == 2
    assert lines[0].startswith("# one: echo hello 1, on ")
    assert [line for line in lines if line and line[0] != "#"] == ["hello 1", "hello 2"]


def test_a_copy_follows_a_log_that_was_put_aside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is missing in the copy where the log has begun again meanwhile."""
    monkeypatch.setattr(logs, "LIMIT", 100)
    written = logs.Written(tmp_path / "log")
    copy = logs.Copy(tmp_path / "copy", tmp_path / "log", "before")
    copy.start()
    for number in range(40):
        written.write(b"%d\n" % number)
    copy.end("after")
    assert (tmp_path / "copy").read_text().split() == [
        "#", "before", *map(str, range(40)), "#", "after"
    ]  # fmt: skip


def test_a_copy_that_cannot_be_written_starts_nothing(run: Cells, tmp_path: Path) -> None:
    """The error says why, and no job is there."""
    (tmp_path / "file").touch()
    reply = run.attempt(f"%shell --background one --log {tmp_path}/file/x.log touch {tmp_path}/ran")
    assert isinstance(reply.error, CommandFailed) and "one was not started" in reply.shown
    assert find("one") is None and not (tmp_path / "ran").exists()


# ---------------------------------------------------------------------- secrets
def test_a_secret_reaches_neither_log_nor_list_nor_disk(run: Cells, tmp_path: Path) -> None:
    """The value is in no file of the job, in no process's arguments, and in nothing shown."""
    value = "canary-4f1a90b2c7"
    hide(value)
    run.shell.user_ns["token"] = value
    run(f"%shell SECRET={value}; export TOKEN={value}")
    run("%%shell --background one\n[ $SECRET = $TOKEN ] && echo same; echo $SECRET; sleep 60")
    run("%shell --background two --log copy.log echo {token} " + value)
    until(lambda: "same\n****\n" in log("one"))
    arguments = b"".join(
        (Path("/proc") / str(pid) / "cmdline").read_bytes()
        for pid in [job("one").keeper, *(one.pid for one in job("one").family.members())]
    )
    assert value.encode() not in arguments
    run("%jobs wait two")
    until(lambda: "ended with" in Path("copy.log").read_text())
    for path in [*folder().rglob("*"), Path("copy.log")]:
        assert path.is_dir() or value not in path.read_text(), path
    shown = run("%jobs") + run("%jobs --json") + run("%jobs log two")
    assert value not in shown and "****" in shown


def test_only_this_user_can_read_a_job(run: Cells) -> None:
    """The folder of a job is closed to others."""
    run("%shell --background one true")
    assert stat.S_IMODE(job("one").folder.stat().st_mode) == 0o700


# ---------------------------------------------------------------------- the list
def test_without_jobs_the_list_says_how_to_start_one(run: Cells) -> None:
    """And nothing is made on disk by asking."""
    assert run("%jobs") == "No jobs. Start one: %shell --background NAME COMMAND"
    assert not folder().exists()


def test_memory_is_that_of_all_its_processes(run: Cells) -> None:
    """What they hold together, in bytes; nothing when they have ended."""
    hold = f"{sys.executable} -c 'x = bytearray(10**8); print(1, flush=True); input()'"
    run(f"%%shell --background one\n(sleep 60 | {hold}) & (sleep 60 | {hold})")
    until(lambda: log("one").count("1") == 2)
    assert 2e8 < known(run, "one")["memory"] < 4e8
    run("%jobs stop one")
    assert known(run, "one")["memory"] == 0


def test_jobs_are_no_steps(run: Cells) -> None:
    """Nothing of a job is recorded in the setup cell."""
    run("%shell --background one true")
    run("%jobs wait one")
    assert run.steps() == []


def test_removing_a_job_takes_its_log_too(run: Cells) -> None:
    """After ``remove`` nothing is known of it."""
    run("%shell --background one true")
    run("%jobs wait one")
    run("%jobs remove one")
    assert find("one") is None and not list(folder().glob("*"))


def test_names_are_offered(run: Cells) -> None:
    """Tab knows the verbs first, then the jobs."""
    from .test_extension import offered

    run("%shell --background train true")
    assert "%jobs train" in offered(run.shell, "%jobs tr")
    assert "%jobs follow train" in offered(run.shell, "%jobs follow t")
    assert "%jobs follow" in offered(run.shell, "%jobs f")
