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
from typing import Any, Dict, Iterator, List, Optional

import pytest
from support.cells import Cells, Child
from support.waiting import until

from colab_magics.core.errors import CommandFailed
from colab_magics.core.redact import register_secret
from colab_magics.jobs import job as module
from colab_magics.jobs import launch, magic_follow, store
from colab_magics.jobs import log as logs
from colab_magics.jobs.job import Job, find_job, list_jobs
from colab_magics.jobs.store import FACTS, SEEN, folder
from colab_magics.shell import processes

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("bash") is None, reason="elsewhere: Linux with bash"
)


@pytest.fixture(autouse=True)
def nothing_left(home: Path) -> Iterator[None]:
    """What a test has started is ended after it."""
    yield
    for job in list_jobs():
        if job.running:
            launch.stop(job, 0.1)


def known(run: Cells, name: str) -> Dict[str, Any]:
    """What ``--json`` says of a job."""
    found: List[Dict[str, Any]] = json.loads(run(f"%jobs {name} --json"))
    return found[0]


def row(run: Cells, name: str = "") -> List[str]:
    """The cells of the row of a job, below the headings."""
    head, line, *_ = run(f"%jobs {name}").splitlines()
    assert head.split() == ["job", "state", "last", "line"]
    return line.split()


def job(name: str) -> Job:
    found = find_job(name)
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


def bootstrap(code: str) -> str:
    """How supervisors start that do something else first; it may name ``supervisor`` or ``log``."""
    return launch.BOOTSTRAP.replace("; supervisor.main()", f", log; {code}; supervisor.main()")


def ended(name: str) -> None:
    """Wait for a job to have ended, whatever becomes of the copy of its log."""
    until(lambda: not job(name).running)


class Drive:
    """A file of a drive that does not answer until it is read, which gives all that it got."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path

    def read(self) -> str:
        """What is written, up to the word of how the job ended."""
        handle, text = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK), b""
        try:
            while b"\n# ended with" not in text:
                text += self._some(handle) or b""
        finally:
            os.close(handle)
        return text.decode()

    def _some(self, handle: int) -> Optional[bytes]:
        time.sleep(0.01)
        try:
            return os.read(handle, 1 << 16)
        except BlockingIOError:
            return None


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """The pipe that plays it is opened as a drive's file is: any other one would be refused."""
    path = str(tmp_path / "drive.log")
    opened = f"os.open(path, os.O_WRONLY) if str(path) == {path!r} else own(path, *words, **more)"
    waits = f"log.open_own = lambda path, *words, own=log.open_own, **more: {opened}"
    monkeypatch.setattr(launch, "BOOTSTRAP", bootstrap(f"import os; {waits}"))
    return Drive(Path(path))


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
    assert row(run, "one") == ["one", "running", "begun"]
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
        ("kill -40 $$", "killed", "one: killed by signal 40"),
        ("sh -c 'kill -9 $$'; exit $?", "failed", "one: failed with status 137 (SIGKILL)"),
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


@pytest.mark.parametrize("command", ["kill -9 $$", "sh -c 'kill -9 $$'; exit $?"])
def test_what_the_system_has_killed_may_have_filled_the_memory(run: Cells, command: str) -> None:
    """It is said where the job is waited for, and in the list; not of one that was stopped."""
    run(f"%shell --background one {command}")
    assert "Perhaps the memory is full" in run.attempt("%jobs wait one").shown
    assert "one: Perhaps the memory is full" in run("%jobs")
    run("%shell --background one trap '' TERM; echo begun; while :; do sleep 0.05; done")
    until(lambda: log("one") == "begun\n")
    launch.stop(job("one"), 0.1)
    assert "memory" not in run("%jobs")


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
    assert not store.process_start(pid)
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


def test_a_start_that_fails_loses_nothing(run: Cells) -> None:
    """The job that had the name is told of as before, with its log and the one before that."""
    for word in ("first", "second"):
        run(f"%shell --background one echo {word}")
        run("%jobs wait one")
    before = sorted(folder().rglob("*"))
    for _ in range(2):
        reply = run.attempt("%shell --background one --log /proc/nope/x echo third")
        assert isinstance(reply.error, CommandFailed)
    assert sorted(folder().rglob("*")) == before
    assert row(run, "one") == ["one", "done", "second"]
    assert run("%jobs log one --before") == "first"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_start_is_none(run: Cells, tmp_path: Path, number: int) -> None:
    """Ctrl-C counts at once, and so does the kernel's end.

    What had begun until then is ended by its supervisor, and forgotten.
    """
    run("%shell --background one echo before")
    run("%jobs wait one")
    begun, go = tmp_path / "begun", tmp_path / "go"
    waits = f"[time.sleep(0.01) for _ in iter(lambda: os.path.exists({str(go)!r}), True)]"
    slow = f"slow = lambda: str([open({str(begun)!r}, 'w'), {waits}])"
    try:
        with child() as kernel:
            kernel("from colab_magics.jobs import launch")
            code = bootstrap(f"import os, time; {slow}; supervisor.store.boot_id = slow")
            kernel(f"launch.BOOTSTRAP = {code!r}")
            kernel.ask(f"%shell --background one echo $$ > {tmp_path}/pid; exec sleep 60")
            until(begun.exists)
            pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
            kernel.process.send_signal(number)
            if number == signal.SIGINT:
                assert kernel.answer().error == "KeyboardInterrupt"
            else:
                kernel.process.wait()
    finally:
        go.touch()
    until(lambda: not store.process_start(int(pid)))
    assert row(run, "one") == ["one", "done", "before"]


def test_a_home_that_cannot_be_written_is_named(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what could not be written."""
    monkeypatch.setenv("HOME", "/proc/nope")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert "its folder below HOME cannot be" in run.attempt("%shell --background one true").shown


@pytest.mark.parametrize("name", ["../x", "a/b", ".x", "-x", "a;b", "x" * 65, "log", "stop"])
def test_a_name_that_cannot_be_one_is_refused(run: Cells, name: str) -> None:
    """One line says so, and nothing is there."""
    reply = run.attempt(f"%shell --background {name} true")
    assert reply.error is not None and not list(folder().glob("*"))


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("%jobs folow", "no-job", "There is no job folow. Did you mean follow?"),
        ("%jobs log oen", "no-job", "There is no job oen. Did you mean one?"),
        ("%jobs log one --before", "no-job", "There was no job one before."),
        ("%jobs wait", "usage", "%jobs wait: the following arguments are required: name."),
        ("%jobs log one -n 0", "usage", "%jobs log -n 0: not a number of lines."),
        (
            "%jobs wait one --timeout 0",
            "usage",
            "argument --timeout: 0 is not a number of seconds.",
        ),
        ("%jobs stop", "usage", "%jobs stop: the following arguments are required: name."),
        ("%jobs --jsn", "unknown-option", "%jobs has no option --jsn. Did you mean --json?"),
        ("%jobs remove running", "job-running", "running is running."),
        ("%jobs remove one --dry-run", "unknown-option", "%jobs remove has no option --dry-run."),
        ("%shell --background running true", "name-taken", "running runs already: sleep 60"),
    ],
)
def test_bad_lines_change_nothing(run: Cells, line: str, code: str, text: str) -> None:
    """Each is one clear error, and the jobs are as they were."""
    run("%shell --background one echo kept")
    run("%jobs wait one")
    run("%shell --background running sleep 60")
    reply = run.attempt(line)
    assert type(reply.error).__name__ == "UsageError", reply
    assert getattr(reply.error, "code", "") == code and text in reply.shown
    assert [job.state for job in list_jobs()] == ["done", "running"]


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
    until(lambda: not store.process_start(left))
    assert known(run, "one")["state"] == "running"
    count(tmp_path)
    run("%jobs wait one")
    assert log("one") == "1\n2\n3\n"


#: Has a kernel say that it waits for a job.
_TELLS = """\
from pathlib import Path
from colab_magics.jobs import magic_follow
original = magic_follow._wait_for_news
def later(job, tick):
    Path("waiting").touch()
    return original(job, tick)
magic_follow._wait_for_news = later"""


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
    assert "one is still running. To end it: %jobs stop one" in answer.shown
    assert known(run, "one")["state"] == "running"


def test_a_keeper_that_is_killed_loses_no_job(run: Cells) -> None:
    """The job counts as running while one of its processes lives, and can be stopped."""
    run("%shell --background one sleep 60")
    os.kill(job("one").supervisor, signal.SIGKILL)
    until(lambda: not store.process_start(job("one").supervisor))
    assert known(run, "one")["state"] == "running"
    run("%jobs stop one")
    assert not job("one").family.members()


def test_killed_and_gone_with_the_machine_are_told_apart(run: Cells) -> None:
    """Without a last word from its supervisor: killed here, lost with a machine that went away."""
    run("%shell --background one sleep 60")
    now = job("one")
    os.kill(now.supervisor, signal.SIGKILL)
    os.killpg(now.family.session, signal.SIGKILL)
    until(lambda: not job("one").running)
    assert row(run, "one") == ["one", "killed"]
    facts = json.loads((now.folder / FACTS).read_text())
    (now.folder / FACTS).write_text(json.dumps({**facts, "boot": "another"}))
    assert "lost, the machine went away" in run("%jobs one")


def test_a_job_on_another_machine_is_left_alone(run: Cells) -> None:
    """Where machines share a home: it is told of, and neither replaced nor stopped nor removed.

    Its supervisor is heard of now and then; when it is not any more, the machine went away.
    """
    run("%shell --background one sleep 60")
    now = job("one")
    facts = (now.folder / FACTS).read_text()
    there = {**json.loads(facts), "boot": "another", "host": "node7"}
    (now.folder / FACTS).write_text(json.dumps(there))
    try:
        assert "running on node7, another machine" in run("%jobs")
        assert "runs already on node7" in run("%shell --background one sleep 60")
        for line in ("%shell --background one true", "%jobs stop one", "%jobs remove one"):
            reply = run.attempt(line)
            assert type(reply.error).__name__ == "UsageError" and "node7" in reply.shown
        os.utime(now.folder / SEEN, (0, 0))
        assert "lost, the machine went away" in run("%jobs")
    finally:
        (now.folder / FACTS).write_text(facts)
    assert job("one").state == "running"


def test_a_keeper_says_that_it_lives(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, also when only what the job has left in the background goes on."""
    monkeypatch.setattr(launch, "BOOTSTRAP", bootstrap("supervisor.BEAT = 0.05"))
    for command in ("sleep 60", "sleep 60 > /dev/null 2>&1 &"):
        run(f"%shell --background one {command}")
        seen = job("one").folder / SEEN
        os.utime(seen, (0, 0))
        until(lambda seen=seen: seen.stat().st_mtime > 0)  # type: ignore[misc]
        launch.stop(job("one"), 0.1)


def test_a_number_that_another_process_has_now_is_no_job(run: Cells) -> None:
    """After its end, a process with the number of a job's is not taken for it."""
    run("%shell --background one true")
    run("%jobs wait one")
    until(lambda: not store.process_start(job("one").supervisor))
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
    run("%shell --background one trap '' TERM; > deaf; until [ -e go ]; do sleep 0.02; done")
    until(lambda: Path("deaf").exists())

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
    of_job = {each.pid for each in members} | {one.supervisor}
    mine = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(os.getpid())], stdout=subprocess.PIPE, text=True
    ).stdout.split()
    assert not of_job & {int(pid) for pid in mine}
    assert members and os.getsid(0) not in {one.family.session, os.getsid(one.supervisor)}


# ---------------------------------------------------------------------- the log
def test_a_progress_bar_is_one_line_of_the_list(run: Cells) -> None:
    """Of a line that was written over, the list shows what is seen at last."""
    run(r"%shell --background one printf '10%%\r50%%\r100%%'")
    run("%jobs wait one")
    assert row(run, "one") == ["one", "done", "100%"]


def test_the_last_lines_of_a_long_log(run: Cells) -> None:
    """``log`` shows twenty lines, ``-n`` as many as it says, ``--all`` what a notebook holds."""
    run("%shell --background one seq 100000")
    run("%jobs wait one")
    assert run("%jobs log one").split() == [str(i) for i in range(99981, 100001)]
    assert run("%jobs log one -n 3").split() == ["99998", "99999", "100000"]
    shown = run("%jobs log one --all")
    assert shown.startswith("1\n2\n") and "omitted" in shown and len(shown) < 100_000
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
    """A log that grows too large is put aside, so that two such parts are all that it takes.

    What is not there any more is said.
    """
    monkeypatch.setattr(logs, "LIMIT", 1000)
    written = logs.RotatingLog(tmp_path / "log")
    for number in range(1000):
        written.write(b"%d\n" % number)
    sizes = [(tmp_path / name).stat().st_size for name in ("log", "log.1")]
    assert max(sizes) < 1100 and written.trouble == "The first 2.0 kB of the log are gone"
    kept = (tmp_path / "log.1").read_text() + (tmp_path / "log").read_text()
    assert kept.endswith("998\n999\n") and kept.split() == [
        str(n) for n in range(int(kept.split()[0]), 1000)
    ]


def test_a_copy_of_the_log_is_where_it_was_asked_for(run: Cells, tmp_path: Path) -> None:
    """It says what ran, holds all that was written, and says how that ended; it is added to."""
    for number in (1, 2):
        run(f"%shell --background one --log {tmp_path}/there/x.log echo hello {number}")
        run("%jobs wait one")
        until(lambda: not store.process_start(job("one").supervisor))
    lines = (tmp_path / "there/x.log").read_text().splitlines()
    assert sum("ended with status 0" in line for line in lines) == 2
    assert lines[0].startswith("# one: echo hello 1, on ")
    assert [line for line in lines if line and line[0] != "#"] == ["hello 1", "hello 2"]


def test_a_copy_follows_a_log_that_was_put_aside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is missing in the copy where the log has begun again meanwhile."""
    monkeypatch.setattr(logs, "LIMIT", 100)
    written = logs.RotatingLog(tmp_path / "log")
    copy = logs.LogCopy(tmp_path / "copy", written, "before")
    copy.start()
    for number in range(40):
        written.write(b"%d\n" % number)
    copy.end("after")
    assert (tmp_path / "copy").read_text().split() == [
        "#", "before", *map(str, range(40)), "#", "after"
    ]  # fmt: skip


def test_what_is_missing_is_said(
    run: Cells, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the log and of its copy, there where it is missing; ``--all`` shows all that is kept."""
    monkeypatch.setattr(launch, "BOOTSTRAP", bootstrap("log.LIMIT = 100_000"))
    run(f"%shell --background one --log {tmp_path}/x.log seq 100000")
    shown = run("%jobs wait one")
    assert "one: The first" in shown and "are missing in the copy of the log" in shown
    lines = (tmp_path / "x.log").read_text().splitlines()
    assert any(line.startswith("# ") and line.endswith(" are missing here") for line in lines)
    assert "100000" in lines
    kept = "".join((job("one").folder / name).read_text() for name in ("log.1", "log"))
    run("x = %jobs -q -o log one --all")
    assert run.shell.user_ns["x"] == kept
    assert "Complete log" in run("%jobs log one --all")


def test_a_slow_drive_holds_up_nothing(run: Cells, drive: Drive) -> None:
    """Neither the start nor the end of a job, and the next one of its name keeps its own log."""
    run(f"%shell --background one --log {drive.path} echo first")
    ended("one")
    supervisor = job("one").supervisor
    assert job("one").copying
    run("%shell --background one echo second; sleep 60")
    until(lambda: log("one") == "second\n")
    copied = drive.read()
    until(lambda: not store.process_start(supervisor))
    assert "\nfirst\n" in copied and "second" not in copied
    assert row(run, "one") == ["one", "running", "second"]


def test_waiting_is_for_the_copy_too(run: Cells, drive: Drive) -> None:
    """``wait`` ends when the copy is complete; Ctrl-C ends the waiting, and says what goes on."""
    run(f"%shell --background one --log {drive.path} echo hello")
    ended("one")
    with child() as kernel:
        kernel(_TELLS)
        for interrupted in (True, False):
            kernel.ask("%jobs wait one")
            until(Path("waiting").exists)
            Path("waiting").unlink()
            if interrupted:
                kernel.interrupt()
                answer = kernel.answer()
                assert answer.error == "KeyboardInterrupt"
                assert "one has ended; its log is still being copied." in answer.shown
        assert "hello" in drive.read()
        assert kernel.answer().shown == "one: done - hello"


def test_a_copy_that_does_not_end_is_not_waited_for(
    run: Cells, monkeypatch: pytest.MonkeyPatch, drive: Drive
) -> None:
    """After a while ``wait`` and ``follow`` say so; the job has succeeded all the same."""
    monkeypatch.setattr(magic_follow, "COPY", 0.2)
    run(f"%shell --background one --log {drive.path} echo hello")
    for verb in ("wait", "follow"):
        assert "one: The copy of its log is not complete yet" in run(f"%jobs {verb} one")
    os.kill(job("one").supervisor, signal.SIGKILL)
    until(lambda: not store.process_start(job("one").supervisor))
    assert "one: The end of the log may be missing in its copy" in run("%jobs wait one")


def test_trouble_with_the_copy_is_said_while_it_runs(
    run: Cells, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And no more when it is over; a folder that is gone is not made anew, it may be a drive."""
    monkeypatch.setattr(launch, "BOOTSTRAP", bootstrap("log.EVERY, log.SHARE = 0.05, 0"))
    there = tmp_path / "there"
    run("%shell --background one --log " + f"{there}/x.log while :; do echo x; sleep 0.02; done")
    there.rename(tmp_path / "away")
    until(lambda: job("one").trouble)
    assert "one: The copy of the log is not complete: No such file" in run("%jobs")
    (tmp_path / "away").rename(there)
    until(lambda: not job("one").trouble)
    assert job("one").running


def test_a_log_that_was_deleted(run: Cells, tmp_path: Path) -> None:
    """The job is told of and waited for without it; ``log`` and ``follow`` say that it is gone."""
    run(f"%shell --background one until [ -e {tmp_path}/go ]; do sleep 0.02; done; exit 3")
    job("one").log.unlink()
    for line in ("%jobs log one", "%jobs follow one"):
        assert getattr(run.attempt(line).error, "code", "") == "no-log"
    (tmp_path / "go").touch()
    assert "one: failed with status 3" in run.attempt("%jobs wait one").shown


def test_a_log_that_is_deleted_while_it_is_followed(run: Cells, tmp_path: Path) -> None:
    """Following goes on until the end of the job."""
    run(f"%shell cd {tmp_path}")
    run("%shell --background one until [ -e go ]; do sleep 0.02; done")
    with child() as kernel:
        kernel(_TELLS)
        kernel.ask("%jobs follow one")
        until(Path("waiting").exists)
        job("one").log.unlink()
        (tmp_path / "go").touch()
        assert kernel.answer().shown == "one: done"


def test_a_copy_that_cannot_be_written_starts_nothing(run: Cells, tmp_path: Path) -> None:
    """The error says why, and no job is there."""
    (tmp_path / "file").touch()
    reply = run.attempt(f"%shell --background one --log {tmp_path}/file/x.log touch {tmp_path}/ran")
    assert isinstance(reply.error, CommandFailed) and "one was not started" in reply.shown
    assert find_job("one") is None and not (tmp_path / "ran").exists()


# ---------------------------------------------------------------------- secrets
def test_a_secret_that_is_known_later_is_hidden_too(
    run: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What looks like one in the environment is kept out of the log, known or not; what is known
    only now is taken out of all that is shown.
    """
    late = "late-words-91c0"
    monkeypatch.setenv("SERVICE_API_KEY", "canary-2b60e1d5aa")
    run(f'%shell --background one echo $SERVICE_API_KEY {late[:4]}"{late[4:]}"')
    ended("one")
    register_secret(late)
    assert log("one") == f"**** {late}\n"
    shown = run("%jobs") + run("%jobs one --json") + run("%jobs log one")
    assert late not in shown + str(run.shell.run_line_magic("jobs", "-o -q one"))


def test_a_secret_reaches_neither_log_nor_list_nor_disk(run: Cells, tmp_path: Path) -> None:
    """The value is in no file of the job, in no process's arguments, and in nothing shown."""
    value = "canary-4f1a90b2c7"
    register_secret(value)
    run.shell.user_ns["token"] = value
    run(f"%shell SECRET={value}; export TOKEN={value}")
    run("%%shell --background one\n[ $SECRET = $TOKEN ] && echo same; echo $SECRET; sleep 60")
    run("%shell --background two --log copy.log echo {token} " + value)
    until(lambda: "same\n****\n" in log("one"))
    arguments = b"".join(
        (Path("/proc") / str(pid) / "cmdline").read_bytes()
        for pid in [job("one").supervisor, *(one.pid for one in job("one").family.members())]
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


def test_what_cannot_be_read_hides_no_other_job(run: Cells) -> None:
    """A file that does not say all is as none; nothing of it is deleted."""
    for name in ("one", "two"):
        run(f"%shell --background {name} echo {name}")
        run(f"%jobs wait {name}")
    place = job("one").folder
    (place / FACTS).write_text('{"command": "echo one"}')
    assert row(run) == ["two", "done", "two"]
    assert (place / "log").read_text() == "one\n"


def test_the_list_looks_at_the_processes_once(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many jobs run; those that have ended and the names need no look at all."""
    from .test_extension import offered

    scans: List[int] = []

    def counted() -> List[processes.Process]:
        scans.append(1)
        return [*processes.scan()]

    monkeypatch.setattr(module, "scan", counted)
    for name in ("one", "two"):
        run(f"%shell --background {name} true")
        ended(name)
    scans.clear()
    assert [one.state for one in list_jobs()] == ["done", "done"] and not scans
    for name in ("three", "four"):
        run(f"%shell --background {name} sleep 60")
    scans.clear()
    assert [one.state for one in list_jobs()] == ["done", "done", "running", "running"]
    assert len(scans) == 1
    assert "%jobs log two" in offered(run.shell, "%jobs log t") and len(scans) == 1


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
    assert find_job("one") is None and not list(folder().glob("*"))


def test_names_are_offered(run: Cells) -> None:
    """Tab knows the verbs first, then the jobs."""
    from .test_extension import offered

    run("%shell --background train true")
    assert "%jobs train" in offered(run.shell, "%jobs tr")
    assert "%jobs follow train" in offered(run.shell, "%jobs follow t")
    assert "%jobs follow" in offered(run.shell, "%jobs f")


@pytest.mark.parametrize("links", [True, False])
def test_a_report_is_written_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Also where the file system has no hard links, and after one that was cut off."""
    if not links:
        refuse = PermissionError(1, "Operation not permitted")
        monkeypatch.setattr(os, "link", lambda *names, **options: (_ for _ in ()).throw(refuse))
    (tmp_path / SEEN).with_suffix(".last").touch()
    place = os.open(tmp_path, os.O_RDONLY)
    for trouble in ("", "one", "two"):
        store.rewrite_record(place, SEEN, {"trouble": trouble, "copied": False})
        assert store.read_record(tmp_path, SEEN)["trouble"] == trouble
        assert (tmp_path / SEEN).with_suffix(".new").stat().st_size
    os.close(place)
