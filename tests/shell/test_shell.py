"""``%shell``: a shell that persists, in real shells and, where it matters, in a real kernel."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from support.cells import PACKAGE, TESTS, Cells, Child

from colab_magics.core import redact
from colab_magics.core.errors import CommandFailed
from colab_magics.core.redact import register_secret
from colab_magics.shell import log
from colab_magics.shell.magic import parse
from colab_magics.shell.runner import Listener
from colab_magics.shell.runner import run as shell_run

pytestmark = pytest.mark.skipif(
    shutil.which("bash") is None, reason="bash is not installed: apt install bash"
)


def streams(run: Cells, cell: str) -> Tuple[str, str]:
    """What a cell wrote to standard output and to standard error."""
    from IPython.utils.capture import capture_output

    with capture_output() as captured:
        run.shell.run_cell(cell).raise_error()
    return captured.stdout, captured.stderr


# ---------------------------------------------------------------------- what carries over
@pytest.mark.parametrize(
    ("first", "then", "shown"),
    [
        ("x='a  b'; y=$'two\\nlines'", 'echo "$x$y"', "a  btwo\nlines"),
        ("a=(1 'b c'); declare -A m=([k]=v)", 'echo "${a[1]} ${m[k]}"', "b c v"),
        (
            "x=$'a\\ndeclare -- z=\"b\"\\nc'; y='\\$`\"$'",
            'echo "$x|$z|$y"',
            'a\ndeclare -- z="b"\nc||\\$`"$',
        ),
        (
            "a=($'one\\n)' 'two\"' \"three'\" '$four'); last=1",
            'echo "${a[@]} $last"',
            "one\n) two\" three' $four 1",
        ),
        ("f() { echo f $1; }", "f 1", "f 1"),
        ("alias ll='echo aliased'", "ll x", "aliased x"),
        ("shopt -s nullglob; set -u", "echo *.none; shopt -q nullglob; echo $?$-", "0huBc"),
        ("umask 027", "umask", "0027"),
        ("readonly r=1", "r=2; echo $r", "bash: line 1: r: readonly variable"),
        ("mkdir d; cd d; cd ..", "cd - > /dev/null; basename $PWD", "d"),
        ("f() { :; }", "unset -f f; type -t f || echo gone", "gone"),
        ("f() { echo f; }; export -f f; export E=1", "bash -c 'f; echo $E'", "f\n1"),
    ],
)
def test_a_command_finds_what_an_earlier_one_left(
    run: Cells, first: str, then: str, shown: str
) -> None:
    """Variables, arrays, functions, aliases, options and the directory before carry over."""
    run(f"%%shell\n{first}")
    assert run(f"%%shell --ignore-errors\n{then}").strip() == shown


@pytest.mark.parametrize(
    "ending",
    ["false", "exit 3", "set -e; false; echo no", "if then", "nosuchcommand", "kill -TERM $$"],
)
def test_what_was_set_survives_a_command_that_fails(run: Cells, ending: str) -> None:
    """However a shell ends by itself, what it had set is there in the next one."""
    assert isinstance(run.attempt(f"%%shell\nkept=1; mkdir sub; cd sub\n{ending}").error, Exception)
    assert run("%shell --ignore-errors set +e; echo $kept; basename $PWD") == "1\nsub"


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        ("exec true", "replaced (exec)"),
        ("trap 'true' EXIT; exit 0", "an EXIT trap of your own"),
        ("kill -9 $$", "ended by force"),
    ],
)
def test_what_cannot_be_kept_is_said(run: Cells, ending: str, why: str) -> None:
    """Where a shell cannot say its state, the one before it holds, and a line says why."""
    run("%shell kept=1")
    assert why in run.attempt(f"%shell kept=2; {ending}").shown
    assert run("%shell echo $kept") == "1"


def test_the_kernel_follows_its_shell(run: Cells, home: Path) -> None:
    """The kernel's directory and environment are those in which the command ended."""
    run("%shell mkdir 'a b'; cd 'a b'; export SHOWN='x  y' GONE=1; hidden=1")
    assert Path.cwd() == (home / "work" / "a b").resolve()
    assert (os.environ["SHOWN"], os.environ["GONE"]) == ("x  y", "1")
    run("%shell cd ..; unset GONE")
    assert Path.cwd() == (home / "work").resolve()
    assert "GONE" not in os.environ and "hidden" not in os.environ
    assert "PAGER" not in os.environ or os.environ["PAGER"] != "cat"


@pytest.mark.parametrize("use", [use for use in ("bash", "zsh", "sh") if shutil.which(use)])
@pytest.mark.parametrize(
    ("command", "then"),
    [
        ("SHOWN=2", "2"),
        ("SHOWN='1 '", "1 "),
        ("unset SHOWN; SHOWN=2", None),
        ("ENV=2; export SHOWN=$ENV", "2"),
        ("set -a; OTHER=1; set +a; f() { SHOWN=$OTHER$OTHER; exit 0; }; f", "11"),
    ],
)
def test_any_change_of_the_environment_is_followed(
    run: Cells, use: str, command: str, then: Optional[str]
) -> None:
    """However a variable that programs see was changed, and whatever others are called."""
    run(f"%shell --use {use} export SHOWN=1")
    run(f"%shell --use {use} {command}")
    assert os.environ.get("SHOWN") == then
    run(f"%shell --use {use} :")
    assert os.environ.get("SHOWN") == then


@pytest.mark.parametrize(
    "before",
    [
        *("readonly IFS", "read() { :; }", "export() { :; }", "f() { :; }; export -f f"),
        *("IFS='x\"1'", "[() { return 0; }", "export() { :; }; builtin export -f export"),
    ],
)
def test_the_environment_is_followed_in_an_odd_shell(run: Cells, before: str) -> None:
    """A user's own functions, and separators, do not hide that something has changed."""
    run("%shell declare -x SHOWN=1")
    run(f"%shell {before}; declare -x SHOWN=2")
    assert os.environ["SHOWN"] == "2"
    run("%shell declare -x SHOWN=3")
    assert os.environ["SHOWN"] == "3"
    run("%shell unset SHOWN")
    assert "SHOWN" not in os.environ


@pytest.mark.parametrize("use", [use for use in ("bash", "zsh", "sh") if shutil.which(use)])
def test_what_is_exported_by_itself_is_the_users_alone(run: Cells, use: str) -> None:
    """With ``set -a`` all that is set is exported; of ours nothing is, however often."""
    run(f"%shell --use {use} set -a")
    before = {*os.environ}
    for _ in range(3):
        run(f"%shell --use {use} true")
    run(f"%shell --use {use} SHOWN=1")
    assert {*os.environ} - before == {"SHOWN"}
    assert not [name for name in os.environ if name.startswith("__cm")]


def test_what_bash_reads_first_counts(
    run: Cells, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ``BASH_ENV`` names may change the environment as well."""
    (home / "first").write_text("export FIRST=1")
    monkeypatch.setenv("BASH_ENV", str(home / "first"))
    run("%shell true")
    run("%shell true")
    assert os.environ["FIRST"] == "1"


def test_a_link_is_left_behind(run: Cells, home: Path) -> None:
    """A directory that Python has gone to meanwhile is called as Python calls it."""
    run("%shell mkdir q r; ln -s q l; cd l")
    for name in ("r", "q"):
        os.chdir(home / "work" / name)
        assert run("%shell pwd") == str(home / "work" / name)


@pytest.mark.parametrize("code", ["exit 3", "sleep 0.1; exit 3"])
def test_a_status_that_somebody_else_has_asked_for(run: Cells, code: str) -> None:
    """A program's own handler that takes the status of all children hides no failure."""

    def reap(number: int, frame: object) -> None:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    before = signal.signal(signal.SIGCHLD, reap)
    try:
        for _ in range(5):
            answer = run.attempt(f"%shell {code}")
            assert isinstance(answer.error, CommandFailed) and "status 3" in str(answer.error)
            run("%shell true")
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_an_exported_function_is_followed(run: Cells) -> None:
    """What other programs find of it is its last text, and nothing once it is gone."""
    run("%shell f() { echo one; }; export -f f")
    run("%shell f() { echo two; }")
    # Not by `!`: where SHELL is unset that is dash, which hands no function on.
    beside = subprocess.run(["bash", "-c", "f"], stdout=subprocess.PIPE, text=True, check=True)
    assert run("%shell bash -c f") == beside.stdout.strip() == "two"
    run("%shell unset -f f")
    assert not [name for name in os.environ if name.startswith("BASH_FUNC")]


def test_the_shell_follows_its_kernel(run: Cells, home: Path) -> None:
    """What Python sets after a command holds for the next one, over what the shell had."""
    run("%shell NAME=shell; export OTHER=shell; cd /")
    run(f"import os; os.environ['NAME'] = 'python'; del os.environ['OTHER']; os.chdir('{home}')")
    assert run("%shell echo $NAME ${OTHER-unset}; pwd") == f"python unset\n{home}"


def test_a_directory_that_is_gone_is_no_end(run: Cells, home: Path) -> None:
    """A command that deletes the directory it stands in leaves the kernel there, and says so."""
    shown = run("%shell mkdir d; cd d; rmdir ../d")
    assert "The kernel cannot follow" in shown
    assert run("%shell --ignore-errors cd /; pwd").endswith("/")


@pytest.mark.parametrize("use", [use for use in ("bash", "zsh", "sh") if shutil.which(use)])
def test_a_directory_is_where_the_shell_is(run: Cells, home: Path, use: str) -> None:
    """``$PWD`` is followed where it is true, by links too, and not where it was only set."""
    run(f"%shell --use {use} mkdir real; ln -s real link; cd link")
    assert run(f"%shell --use {use} echo $PWD") == str(home / "work/link")
    run(f"%shell --use {use} PWD=/usr")
    assert Path.cwd() == (home / "work/real").resolve()


@pytest.mark.parametrize("use", [use for use in ("bash", "zsh", "sh") if shutil.which(use)])
def test_a_path_that_leads_nowhere_can_be_repaired(run: Cells, use: str) -> None:
    """The shell itself is found all the same, and carries on."""
    before = os.environ["PATH"]
    run(f"%shell --use {use} kept=1; export PATH=/nowhere")
    assert os.environ["PATH"] == "/nowhere"
    run(f"%shell --use {use} export PATH={before}:$kept")
    assert os.environ["PATH"] == f"{before}:1"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere: a limit of Linux")
def test_an_environment_that_is_too_large_is_said(run: Cells, home: Path) -> None:
    """What no program could be given is not taken over, in silence least of all."""
    shown = run("%shell export BIG=$(head -c 3000000 /dev/zero | tr '\\0' x) KEEP=1; cd ..")
    assert shown.startswith("The environment is too large")
    assert Path.cwd() == home.resolve() and "KEEP" not in os.environ
    assert run("%shell echo ${BIG-none}; ls -d .") == "none\n."


def test_a_shell_that_tells_its_lines_tells_only_the_users(run: Cells) -> None:
    """``set -v`` and ``set -x`` show what was typed, and nothing of what stands around it."""
    assert run("%shell set -v; echo one") == "one"
    assert run("%shell echo two; set +v -x") == "echo two; set +v -x\ntwo"
    assert run("%shell echo three") == "++ echo three\nthree"


def test_an_activated_environment_stays_active(run: Cells, home: Path) -> None:
    """After ``activate`` its programs are the first, until ``deactivate``; that is said."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "env"], check=True, cwd=home / "work"
    )
    shown = run("%shell source env/bin/activate")
    assert shown == "env is active for programs; this kernel keeps its own Python"
    assert run("%shell command -v python") == str(home / "work/env/bin/python")
    assert os.environ["VIRTUAL_ENV"] == str(home / "work/env")
    run("%shell deactivate")
    assert "VIRTUAL_ENV" not in os.environ


def test_state_survives_a_reload_and_fresh_forgets_it(run: Cells) -> None:
    """Reloading the extension, as the setup cell does, keeps the shell; ``--fresh`` does not."""
    run("%shell kept=1")
    run("%reload_ext colab_magics")
    assert run("%shell echo $kept") == "1"
    assert run("%shell --fresh echo ${kept-gone}") == "gone"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed: apt install zsh")
@pytest.mark.parametrize(
    ("first", "then", "shown"),
    [
        ("x='a  b'; y=$'two\nlines'; typeset -i n=3", 'echo "$x$y$n"', "a  btwo\nlines3"),
        ("a=(1 'b c'); typeset -A m=(k v)", 'echo "$a[2] $m[k]"', "b c v"),
        ("f() { echo f $1; }; alias ll='echo aliased'", "f 1; ll x", "f 1\naliased x"),
        ("setopt extendedglob; set -u; umask 027", "setopt | grep ext; umask", "extendedglob\n027"),
        ("readonly r=1", "r=2", "(eval):1: read-only variable: r"),
        ("f() { :; }", "unset -f f; whence f || echo gone", "gone"),
        ("mkdir d; export E=1; cd d", "echo $E; basename $PWD", "1\nd"),
        ("emulate sh; x='a b'", "for w in $x; do echo $w; done", "a\nb"),
    ],
)
def test_zsh_carries_on_too(run: Cells, first: str, then: str, shown: str) -> None:
    """``--use zsh`` carries what bash does, in the way of zsh."""
    run(f"%%shell --use zsh\n{first}")
    assert run(f"%%shell --use zsh --ignore-errors\n{then}").strip() == shown


def test_sh_has_a_state_of_its_own(run: Cells) -> None:
    """``--use sh`` carries variables, aliases and options from one command to the next as well."""
    run('%%shell --use sh\nx="it\'s\ntwo"; alias ll=\'echo "a l"\'; set -u; false; true')
    assert run('%shell --use sh ll; echo "$x"') == "a l\nit's\ntwo"
    assert run("%shell echo ${x-none}") == "none"


# ---------------------------------------------------------------------- the line
@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("echo {name}.csv {files[1]} {1 + n}", "data.csv b 3"),
        ("echo $HOME_OF {name} ${HOME_OF}", "there data there"),
        ("echo {a,b} {1..3} x{{1,2}}", "a b 1 2 3 x{1} x{2}"),
        ("echo ab | grep -oE 'b{1}'", "b"),
        ("echo one two | awk '{print $2}'", "two"),
        ("echo one | awk '{print}'", "one"),
        ("echo {{name}} {unknown}", "{name} {unknown}"),
        ("n=1; { echo $n; }", "1"),
        ("echo '# no comment' # comment", "# no comment"),
        ("echo {'-'.join(f for f in files)}", "a-b"),
        ("echo {n:03d} {files!r} {name:>5} {name!r:>7} {{n:03d}}", "002 [a, b] data data {n:03d}"),
        ("echo '{name: 1}' {name:d} {unknown:03d}", "{name: 1} {name:d} {unknown:03d}"),
    ],
)
def test_braces_are_pythons_where_they_are_clearly_so(run: Cells, line: str, shown: str) -> None:
    """``{name}`` is Python's, what the shell means by braces stays, and ``$`` is the shell's."""
    run("name, files, n = 'data', ['a', 'b'], 2; HOME_OF = 'not this'")
    os.environ["HOME_OF"] = "there"
    assert run(f"%shell {line}") == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("echo $name-$name $unknown ${name}", "data-data"),
        ("printf '%s,' $n \"$n\" '$n' \\$n", "2,2,$n,$n,"),
        ("echo $$n | tr -d 0-9", "n"),
        ("echo $layout", "{n}"),
        ("name=shell; echo $name", "shell"),
        ("for name in a b; do echo -n $name; done", "ab"),
        ("read -r name n < <(echo 1 x); echo $name$n", "1x"),
        ("printf -v name %s set; echo $name", "set"),
        ("echo name=$n", "name=2"),
        (": ${name:=default}; echo $name", "default"),
        ("eval 'na''me=set'; echo $name", "set"),
        ("source /dev/stdin <<< 'na''me=read'; echo $name", "read"),
        ("echo $SET $CARRIED", "there here"),
    ],
)
def test_on_colab_a_name_that_only_python_has_is_pythons(
    run: Cells, monkeypatch: pytest.MonkeyPatch, line: str, shown: str
) -> None:
    """As in Colab's own ``%shell``; what the shell has, or sets in the command, is the shell's."""
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    run("name, n, SET, CARRIED, layout = 'data', 2, 'not this', 'nor this', '{n}'")
    os.environ["SET"] = "there"
    run("%shell CARRIED=here")
    assert run(f"%shell {line}").split("\n")[0] == shown


@pytest.mark.parametrize("colab", [True, False])
def test_a_name_that_the_shell_does_not_have_is_said_once(
    run: Cells, monkeypatch: pytest.MonkeyPatch, colab: bool
) -> None:
    """Once in a kernel a line says which value it has, and how Python's is written anywhere."""
    if colab:
        monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    run("name, other = 'data', 'more'")
    first = run("%shell echo [$name]").split("\n")
    assert first[0] == ("[data]" if colab else "[]")
    assert len(first) == 2 and "{name}" in first[1]
    assert run("%shell echo [$other]") == ("[more]" if colab else "[]")
    assert run("%%shell\necho [$other]") == "[]"


def test_an_expression_that_fails_runs_nothing(run: Cells) -> None:
    """A command whose expression cannot be evaluated is not run with the rest of it."""
    run("files = []")
    reply = run.attempt("%shell touch made {files[0]}")
    assert "{files[0]} fails: IndexError" in reply.shown
    assert not Path("made").exists()


def test_a_cell_is_the_shells_alone(run: Cells) -> None:
    """In ``%%shell`` nothing is expanded, and it is one shell for all lines."""
    run("name = 'data'")
    assert run("%%shell\nfor i in 1 2; do\n  echo $i {name}\ndone") == "1 {name}\n2 {name}"


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("--no-ty ls", "unknown-option", "%shell has no option --no-ty. Did you mean --no-tty?"),
        ("--dry-run ls", "unknown-option", "%shell has no option --dry-run."),
        ("--use zssh ls", "unknown-choice", "there is no shell zssh. Did you mean zsh?"),
        ("--timeout soon ls", "usage", "argument --timeout: soon is not a number of seconds."),
        ("--timeout nan ls", "usage", "argument --timeout: nan is not a number of seconds."),
        ("--use", "usage", "argument --use: expected one argument."),
        ("--timeout= ls", "usage", "argument --timeout:"),
        ("--background= ls", "usage", "argument --background:"),
        ("--log --fresh ls", "usage", "argument --log: expected one argument."),
        ("--log x true", "usage", "%shell --log goes with --background."),
        ("--background train", "usage", "%shell --background: the command is missing."),
        ("--background log true", "job-name", "A job cannot be named log: %jobs log is a command."),
        ("--log 'a b ls", "usage", "A quote is not closed in the options of this line."),
    ],
)
def test_a_wrong_option_is_refused_and_nothing_runs(
    run: Cells, line: str, code: str, text: str, nothing_starts: None
) -> None:
    """An unknown option, or a senseless one, is one line, and no command runs."""
    reply = run.attempt(f"%shell {line}")
    assert text in reply.shown and type(reply.error).__name__ == "UsageError"
    assert getattr(reply.error, "code", "") == code


def test_the_help_has_each_option(run: Cells) -> None:
    """The docstring and the options of the tree, to be read without running anything."""
    shown = run("%shell --help")
    assert "%shell [OPTIONS] [--] COMMAND" in shown and "--background NAME" in shown


def test_a_value_may_be_quoted() -> None:
    """A value with blanks is one value, and the command behind it stays as it was typed."""
    options, command = parse("""--log "a b/c.log" --use='zsh'  --background=t echo "x  y" """)
    assert (options.log, options.use, options.background) == ("a b/c.log", "zsh", "t")
    assert command == 'echo "x  y"'


@pytest.mark.parametrize("use", [use for use in ("bash", "zsh", "sh") if shutil.which(use)])
def test_a_command_may_begin_with_a_dash(run: Cells, use: str) -> None:
    """Behind ``--`` all is the command."""
    reply = run.attempt(f"%shell --use {use} -- -x")
    assert reply.error is not None and "ended with status 127" in str(reply.error)


def test_alone_it_shows_the_state_and_changes_nothing(run: Cells, nothing_starts: None) -> None:
    """``%shell`` alone tells the shell and the directory, and starts nothing."""
    before = dict(os.environ)
    assert run("%shell").split() == ["shell", "bash", "directory", ".", "carried", "-"]
    assert dict(os.environ) == before and os.listdir() == []


def test_alone_it_shows_an_executor_the_same_each_time(run: Cells) -> None:
    """Where outputs are compared, the log is named without its path, which has a time in it."""
    run("%shell seq 100000")
    assert run("%shell").splitlines()[-1] == "last log   x = %shell ... gives x.log"


def test_the_state_is_counted(run: Cells) -> None:
    """``%shell`` alone tells how much differs from a fresh shell."""
    for name in [name for name in ("bash", "zsh") if shutil.which(name)]:
        run(f"%shell --use {name} x=1; y=2; f() {{ :; }}; alias a=b; set -u")
        assert "variables: 2, functions: 1, aliases: 1, options: 1" in run(f"%shell --use {name}")


def test_nothing_is_recorded(run: Cells) -> None:
    """A command is no step of the setup cell."""
    run("%shell true")
    assert run.steps() == []


def test_tab_offers_options_before_the_command_only(run: Cells) -> None:
    """Options are completed where one may stand."""
    from .test_extension import offered

    assert "%shell --ignore-errors" in offered(run.shell, "%shell --ig")
    assert "%shell --no-tty --timeout" in offered(run.shell, "%shell --no-tty --ti")
    assert "%shell ls --ignore-errors" not in offered(run.shell, "%shell ls --ig")


def test_colabs_own_is_there_again_after_unloading(bare: Cells) -> None:
    """Where ``%shell`` is somebody else's before, as on Colab, unloading gives it back."""
    bare("from IPython.core.magic import register_line_cell_magic")
    bare("@register_line_cell_magic\ndef shell(line, cell=None):\n    print('theirs', line)")
    bare("%load_ext colab_magics")
    assert bare("%shell echo ours") == "ours"
    bare("%unload_ext colab_magics")
    assert bare("%shell x") == "theirs x"


# ---------------------------------------------------------------------- what comes of it
def test_only_a_result_has_the_streams_apart(run: Cells) -> None:
    """What is shown is one stream, in its order."""
    command = "echo out; echo err >&2; printf end"
    assert streams(run, f"%shell {command}") == ("out\nerr\nend", "")
    run(f"found = %shell -q {command}")
    found = run.shell.user_ns["found"]
    assert (found.stdout, found.stderr) == ("out\nend", "err\n")


def test_a_failure_is_an_error_with_the_last_lines(run: Cells) -> None:
    """A status other than 0 raises, with the command, the status and what was said last."""
    reply = run.attempt("%shell seq 9; for i in 1 2 3 4 5 6; do echo e$i >&2; done; exit 3")
    assert isinstance(reply.error, CommandFailed)
    assert reply.error.status == 3 and run.shell.user_ns["_exit_code"] == 3
    assert str(reply.error).endswith(
        "ended with status 3.\nTo continue after an error: --ignore-errors"
    )
    assert reply.error.details == "The last lines:\n  e2\n  e3\n  e4\n  e5\n  e6"


def test_an_error_tells_no_secret(run: Cells) -> None:
    """What is hidden is not told by the error, though the command has printed it."""
    register_secret("hunter2hunter2")
    reply = run.attempt("%shell echo hunter2hunter2 >&2; false")
    assert "hunter2" not in f"{reply.error} {getattr(reply.error, 'details', '')}"


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("nosuchcommand", "Command not found"),
        (f"{sys.executable} -c 'input()'", "It asked for input"),
        ("echo 'Continue? [Y/n] Abort.'; exit 1", "It asked for input"),
        ("kill -9 $$", "memory"),
        ("echo no tty, y/n, stdin, EOFError; exit 1", "--ignore-errors"),
    ],
)
def test_an_error_says_what_may_help(run: Cells, command: str, hint: str) -> None:
    """A missing program, a question that nobody answers, a kill: each with what to do."""
    assert hint in str(run.attempt(f"%shell {command}").error)


def test_errors_can_be_ignored(run: Cells) -> None:
    """``--ignore-errors`` is Colab's: the cell goes on, and the status is known."""
    run("%shell --ignore-errors exit 4")
    assert run.shell.user_ns["_exit_code"] == 4


def test_a_line_that_is_assigned_gives_its_result(run: Cells) -> None:
    """As Colab's own does; the result is shown only where it was asked for."""
    shown = run("f = %shell echo out; sleep 0.1; printf é >&2; sleep 0.1; echo more\nf")
    found = run.shell.user_ns["f"]
    assert "ShellResult" not in shown and "status" not in shown
    assert (found.output, found.stdout, found.stderr) == ("out\némore\n", "out\nmore\n", "é")
    assert (found.returncode, found.status) == (0, 0)
    found.check_returncode()
    assert "<status 0" in run("%shell -o true")


def test_a_result_can_be_checked_later(run: Cells) -> None:
    """``check_returncode`` raises what the line would have raised."""
    run("f = %shell --ignore-errors echo why; exit 4")
    with pytest.raises(CommandFailed, match="ended with status 4"):
        run.shell.user_ns["f"].check_returncode()


@pytest.mark.parametrize(
    "cell", ["%shell seq 9", "%%shell\nseq 9", "for n in '1':\n    %shell seq 9"]
)
def test_a_line_whose_value_nobody_takes_gives_nothing(run: Cells, cell: str) -> None:
    """IPython keeps the last value of each cell, which would be all that was ever printed."""
    run("before = len(Out)")
    run(cell)
    assert run("len(Out) - before").endswith("0")


def test_a_failure_is_what_subprocess_raises_too(run: Cells) -> None:
    """Notebooks of Colab catch ``CalledProcessError``, and look at what was printed."""
    run("from subprocess import CalledProcessError")
    run("try:\n    %shell seq 3; exit 5\nexcept CalledProcessError as error:\n    found = error")
    found = run.shell.user_ns["found"]
    assert (found.returncode, found.cmd, found.output) == (5, "seq 3; exit 5", "1\n2\n3\n")
    assert str(found).startswith("seq 3; exit 5: ended with status 5.\n")


def test_the_result_is_returned_when_asked_for(run: Cells) -> None:
    """``-o`` gives both streams, whole, the status and the seconds; ``-q`` shows nothing."""
    shown = run("found = %shell -q -o --ignore-errors seq 100000; echo é >&2; exit 2")
    found = run.shell.user_ns["found"]
    assert shown == ""
    assert found.stdout == "".join(f"{n}\n" for n in range(1, 100001))
    assert (found.stderr, found.status) == ("é\n", 2) and 0 < found.seconds < 60
    assert repr(found) == "<status 2, stdout 100000 lines, stderr 1 lines>"
    assert run("%shell true") == ""


def test_a_time_out_ends_the_command_and_keeps_the_state(run: Cells) -> None:
    """After the time all processes of the command are ended; what it had set is kept."""
    reply = run.attempt("%shell --timeout 0.2 kept=1; sleep 60 | sleep 60")
    assert isinstance(reply.error, CommandFailed)
    assert reply.error.code == "timeout"
    assert run("%shell echo $kept") == "1"


def test_a_time_out_is_said_where_errors_are_ignored(run: Cells) -> None:
    """The cell goes on, and a line says that the command did not come to its end."""
    shown = run("%shell --timeout 0.2 --ignore-errors sleep 60")
    assert shown.endswith("sleep 60: ended, because it was not done in 0.2 s.")


def test_what_does_not_end_is_ended_by_force(run: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that hears no signal is killed after a while."""
    monkeypatch.setattr("colab_magics.shell.runner.GRACE", 0.1)
    reply = run.attempt("%shell --timeout 0.2 trap '' TERM; while :; do sleep 0.01; done")
    assert getattr(reply.error, "code", "") == "timeout" and "ended by force" in reply.shown


def test_commands_leave_nothing_open(run: Cells) -> None:
    """However a command ends, no file and no thread of it stays in the kernel."""
    run("%shell true")
    before = len(os.listdir("/dev/fd"))
    for command in ("seq 5", "exit 3", "kill -9 $$", "exec true", "--timeout 0.1 sleep 9") * 3:
        run.attempt(f"%shell {command}")
    assert len(os.listdir("/dev/fd")) == before
    assert [one.name for one in threading.enumerate() if "_wait" in one.name] == []


def test_an_output_that_fails_leaves_no_program(
    run: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where what is printed cannot be shown, the command does not go on unheard."""
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)

    def fail(*arguments: object, **options: object) -> None:
        raise OSError("no front end any more")

    monkeypatch.setattr("colab_magics.shell.magic_output.CommandOutput.on_output", fail)
    cell = f"%shell exec 9> '{tmp_path}/held'; echo x; sleep 60"
    assert "no front end" in str(run.attempt(cell).error)
    os.set_blocking(held, True)
    assert os.read(held, 1) == b"", "every process that held it has ended"
    os.close(held)


def test_standard_input_is_at_its_end(run: Cells) -> None:
    """What reads gets the end of its input at once, instead of waiting for ever."""
    assert run("%shell cat; read x || echo end") == "end"


def test_what_goes_on_in_the_background_is_said(run: Cells, tmp_path: Path) -> None:
    """``command &`` does not hold the cell, is not blocked by what it writes, and is said."""
    os.mkfifo(tmp_path / "go")
    cell = f"%shell (read x < '{tmp_path}/go'; seq 100000; echo done > '{tmp_path}/go') & echo on"
    shown = run(cell)
    assert shown.startswith("on\n") and "A program still runs in the background" in shown
    (tmp_path / "go").write_text("now\n")
    assert (tmp_path / "go").read_text() == "done\n"
    assert "last log" in run("%shell")


# ---------------------------------------------------------------------- long output
def test_of_long_output_head_and_tail_are_shown_and_all_is_logged(run: Cells) -> None:
    """The first and the last lines are shown, the same each time; the log has every byte."""
    out, _ = streams(run, "%shell seq 200000")
    assert out.startswith("1\n2\n3\n") and out.rstrip().endswith("\n199999\n200000")
    assert len(out) < 100_000 and "lines are omitted" in out
    assert streams(run, "%shell seq 200000")[0] == out
    run("found = %shell -q seq 200000")
    assert run.shell.user_ns["found"].log.read_text() == "".join(f"{n}\n" for n in range(1, 200001))


def test_logs_are_limited_in_size_and_age(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log ends at its limit; old ones go, and the oldest where they are too large together."""
    monkeypatch.setattr(log, "LIMIT", 300_000)
    monkeypatch.setattr(log, "TOGETHER", 700_000)
    log.folder().mkdir(parents=True, exist_ok=True)
    old = log.folder() / "shell-20200101-000000-1.log"
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    for _ in range(5):
        one = log.Log()
        for _ in range(10):
            one.write(b"x" * 100_000)
        one.close()
        assert one.trouble == "The log ends after 0 MB"
    left = list(log.folder().iterdir())
    assert old not in left and len(left) == 2
    assert all(path.stat().st_size == 400_000 for path in left)
    assert all(path.stat().st_mode & 0o77 == 0 for path in left)


# ---------------------------------------------------------------------- signals
@pytest.fixture
def child(home: Path) -> Iterator[Child]:
    """A shell in a process of its own, which can be interrupted and killed."""
    with Child(dict(os.environ)) as made:
        yield made


@pytest.mark.parametrize("command", ["sleep 60", "sleep 60 | cat", "while :; do :; done"])
def test_an_interrupt_reaches_all_and_the_state_survives(
    child: Child, tmp_path: Path, command: str
) -> None:
    """Ctrl-C ends every process of the command; what it had set is there afterwards."""
    os.mkfifo(tmp_path / "held")
    child.ask(f"%%shell\nkept=1; exec 9> '{tmp_path}/held'; {command}\necho no")
    with open(tmp_path / "held", "rb") as held:  # waits until the command has begun
        child.interrupt()
        answer = child.answer()
        assert answer.error == "KeyboardInterrupt" and "no" not in answer.shown.split()
        assert answer.shown.endswith("KeyboardInterrupt") and "Traceback" not in answer.shown
        assert held.read() == b"", "no process holds it any more"
    assert child("%shell echo $kept") == "1"


def test_a_second_interrupt_ends_what_ignores_the_first(child: Child, tmp_path: Path) -> None:
    """A command that ignores Ctrl-C is ended by the next ones."""
    os.mkfifo(tmp_path / "held")
    child.ask(
        f"%%shell\ntrap 'echo > {tmp_path}/held' INT\necho > {tmp_path}/held\nwhile :; do :; done"
    )
    for _ in range(2):
        (tmp_path / "held").read_text()  # it has begun, or has heard and goes on
        child.interrupt()
    assert child.answer().error == "KeyboardInterrupt"


#: Programs that are in another process group than their shell, or in another session.
ELSEWHERE = ["timeout 60 sleep 61", "set -m; sleep 60 & wait", "setsid sleep 60 & wait"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere: Linux tells who belongs to whom")
@pytest.mark.parametrize("command", ELSEWHERE[:2])
def test_an_interrupt_reaches_other_process_groups(
    child: Child, tmp_path: Path, command: str
) -> None:
    """Ctrl-C ends at once what a program such as ``timeout`` has put into a group of its own."""
    os.mkfifo(tmp_path / "held")
    child.ask(f"%shell exec 9> '{tmp_path}/held'; {command}")
    with open(tmp_path / "held", "rb") as held:
        child.interrupt()
        assert child.answer().error == "KeyboardInterrupt"
        assert held.read() == b"", "every process that held it has ended"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere: Linux tells who belongs to whom")
@pytest.mark.parametrize("command", [*ELSEWHERE, "(trap '' TERM; sleep 60)"])
def test_a_time_out_leaves_nothing_behind(
    run: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """After the time no program of the command runs, wherever it went and what it ignores."""
    monkeypatch.setattr("colab_magics.shell.runner.GRACE", 0.1)
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    reply = run.attempt(f"%shell --timeout 0.5 exec 9> '{tmp_path}/held'; {command}")
    assert getattr(reply.error, "code", "") == "timeout" and "still runs" not in reply.shown
    os.set_blocking(held, True)
    assert os.read(held, 1) == b"", "every process that held it has ended"
    os.close(held)


@pytest.mark.parametrize("command", ["(trap '' HUP INT TERM; sleep 60) & sleep 60", *ELSEWHERE])
def test_a_killed_kernel_leaves_no_orphan(child: Child, tmp_path: Path, command: str) -> None:
    """After ``kill -9`` of the kernel no process of its commands is left, nor its folder."""
    if command in ELSEWHERE and sys.platform != "linux":
        pytest.skip("elsewhere: Linux tells who belongs to whom")
    os.mkfifo(tmp_path / "held")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    child(f"import tempfile; tempfile.tempdir = '{temporary}'")
    child.ask(f"%shell exec 9> '{tmp_path}/held'; {command}")
    with open(tmp_path / "held", "rb") as held:
        assert len(list(temporary.iterdir())) == 1
        child.process.kill()
        assert held.read() == b"", "every process that held it has ended"
    until = time.monotonic() + 10
    while list(temporary.iterdir()) and time.monotonic() < until:
        time.sleep(0.01)
    assert list(temporary.iterdir()) == []


def test_a_program_that_may_not_open_its_terminal_leaves_nothing_open() -> None:
    """What is refused to open the terminal by name, as ``less`` does, does not seem to go on."""
    code = "import os\ntry:\n    os.open(os.ttyname(1), 0)\nexcept OSError:\n    os._exit(7)"
    before = os.listdir("/dev/fd")
    ended = shell_run(
        [sys.executable, "-c", code], os.environ, Listener(), lambda group: None, tty=True
    )
    assert (ended.status, ended.background) == (7, False)
    assert os.listdir("/dev/fd") == before


def test_commands_of_several_threads_run_one_after_another(run: Cells) -> None:
    """Each runs what it was asked for, and begins where the one before has ended."""
    run("%shell count=0")
    with ThreadPoolExecutor(8) as pool:
        line = "-q -o sleep 0.0{0}; count=$((count + 1)); echo {0} $count"
        lines = [line.format(number) for number in range(8)]
        found = list(pool.map(lambda one: run.shell.run_line_magic("shell", one), lines))
    words = [one.stdout.split() for one in found]
    assert [one[0] for one in words] == [str(number) for number in range(8)]
    assert sorted(int(one[1]) for one in words) == list(range(1, 9))


# ---------------------------------------------------------------------- a live front end
class Sent(NamedTuple):
    """What a kernel sent for one cell."""

    reply: Dict[str, Any]
    messages: List[Dict[str, Any]]

    def of(self, kind: str) -> List[Dict[str, Any]]:
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    def text(self, stream: str) -> str:
        return "".join(m["text"] for m in self.of("stream") if m["name"] == stream)


class Kernel:
    """A real kernel, and a front end that shows what comes at once."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, cell: str, live: bool = True, heard: Any = None) -> Sent:
        messages: List[Dict[str, Any]] = []

        def hear(message: Dict[str, Any]) -> None:
            messages.append(message)
            if heard is not None:
                heard(message)

        reply = self.client.execute_interactive(
            cell, allow_stdin=live, stop_on_error=False, output_hook=hear, timeout=60
        )
        return Sent(reply["content"], messages)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for the tests that need a front end."""
    from jupyter_client.manager import start_new_kernel

    home = tmp_path_factory.mktemp("kernel")
    paths = [str(TESTS)] if PACKAGE.name == "site-packages" else [str(TESTS), str(PACKAGE)]
    env = {**os.environ, "HOME": str(home), "IPYTHONDIR": str(home), "PYTHONPATH": ":".join(paths)}
    env.pop("PYTHONWARNINGS", None)
    manager, client = start_new_kernel(kernel_name="python3", env=env, cwd=str(home))
    try:
        made = Kernel(client)
        made.run("%load_ext colab_magics")
        yield made
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_output_comes_while_the_command_runs(kernel: Kernel, tmp_path: Path) -> None:
    """The first line is heard before the command has ended; here it waits until it was."""
    os.mkfifo(tmp_path / "go")

    def heard(message: Dict[str, Any]) -> None:
        if "first" in message["content"].get("text", ""):
            (tmp_path / "go").write_text("on\n")

    sent = kernel.run(f"%shell echo first; read x < {tmp_path}/go; echo $x", heard=heard)
    assert sent.text("stdout") == "first\non\n"


@pytest.mark.parametrize("live", [True, False])
def test_errors_stand_where_they_were_written(kernel: Kernel, live: bool) -> None:
    """Both streams of a program are shown in the order in which it wrote to them."""
    cell = "%shell for n in 1 2 3; do echo out $n; echo error $n >&2; done"
    sent = kernel.run(cell, live=live)
    lines = [f"{kind} {n}\n" for n in (1, 2, 3) for kind in ("out", "error")]
    assert sent.text("stdout") == "".join(lines) and sent.text("stderr") == ""


def test_a_progress_bar_is_one_line_in_place(kernel: Kernel, tmp_path: Path) -> None:
    """What is written over by carriage returns is one display, updated; colours are kept."""
    script = (
        "import sys, time\nfor n in range(0, 101, 10):\n"
        "    sys.stderr.write(f'\\r\\x1b[32m{n}%\\x1b[0m|{n * \"#\"}')\n"
        "    sys.stderr.flush(); time.sleep(0.03)\n"
        "print(file=sys.stderr); print(sys.stdout.isatty(), sys.stderr.isatty())\n"
    )
    (tmp_path / "bar.py").write_text(script)
    sent = kernel.run(f"%shell {sys.executable} {tmp_path}/bar.py")
    assert len(sent.of("display_data")) == 1 and 0 < len(sent.of("update_display_data")) < 10
    last = sent.of("update_display_data")[-1]["data"]["text/plain"]
    assert last == "\x1b[32m100%\x1b[0m|" + 100 * "#"
    assert sent.text("stderr") == "" and sent.text("stdout") == "True True\n"


@pytest.mark.parametrize("live", [True, False])
def test_bars_of_nested_loops_are_two_lines(kernel: Kernel, tmp_path: Path, live: bool) -> None:
    """The inner bar of tqdm stands below the outer one, and is gone in the end."""
    pytest.importorskip("tqdm")
    loops = "for n in tqdm(range(30), desc='outer'):\n    for m in tqdm(range(20), leave=False"
    (tmp_path / "loops.py").write_text(f"from tqdm import tqdm\n{loops}, mininterval=0): pass\n")
    sent = kernel.run(f"%shell {sys.executable} {tmp_path}/loops.py", live=live)
    shown = [sent.text("stdout")] if sent.text("stdout") else []
    shown += [one["data"]["text/plain"] for one in sent.of("display_data")][:1]
    for one in sent.of("update_display_data"):
        shown[0] = one["data"]["text/plain"]
    assert len(shown) == 1 and shown[0].startswith("outer: 100%") and "\n" not in shown[0].strip()


def test_a_million_lines_are_a_small_notebook(kernel: Kernel) -> None:
    """A flood of lines comes in few messages, of which little is kept in the notebook."""
    sent = kernel.run("%shell seq 1000000; seq 1000000 >&2")
    kept = sent.of("stream") + sent.of("display_data") + sent.of("update_display_data")[-2:]
    assert len(json.dumps(kept)) < 200_000
    assert len(sent.messages) < 200
    shown = "\n".join(one["data"]["text/plain"] for one in sent.of("display_data"))
    assert "Complete output" in shown and ".log" in shown


@pytest.mark.parametrize(
    "command", ["less file", "git log", "man ls", "git -c core.pager=less log"]
)
def test_what_asks_for_keys_does_not_hang(kernel: Kernel, tmp_path: Path, command: str) -> None:
    """Pagers show all and end, though their output looks like a terminal."""
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"{command} is not installed")
    lines = "\n".join(map(str, range(200)))
    (tmp_path / "file").write_text(lines)
    if command.startswith("git"):
        identity = ["-c", "user.name=n", "-c", "user.email=e@x"]
        subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
        message = ["commit", "-q", "--allow-empty", "-m", lines]
        subprocess.run(["git", *identity, *message], cwd=tmp_path, check=True)
    sent = kernel.run(f"%shell --timeout 10 cd {tmp_path}; {command}")
    assert "it was not done in" not in str(sent.of("error"))


def test_an_executor_gets_plain_streams(kernel: Kernel) -> None:
    """Where nobody is there, output is stream text only, the same each time."""
    cell = "%shell printf '1%%\\r2%%\\n'; seq 50000; echo e >&2; test -t 1 || echo no terminal"
    sent = [kernel.run(cell, live=False) for _ in range(2)]
    assert not sent[0].of("update_display_data")
    assert sent[0].text("stdout") == sent[1].text("stdout")
    assert sent[0].text("stdout").startswith("2%\n1\n2\n")
    assert sent[0].text("stdout").rstrip().endswith("50000\ne\nno terminal")
    notes = [one["data"]["text/plain"] for one in sent[0].of("display_data")]
    assert notes == ["Complete output: the log that %shell names"]


def test_a_secret_that_is_known_is_shown_and_logged_nowhere(
    run: Cells, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what a command prints too; the result of ``-o`` is the program's own words."""
    monkeypatch.setattr(redact, "_SECRETS", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("MY_TOKEN", "canary-0123456789")
    run("%secret MY_TOKEN -q")
    assert run("%shell printf canary-; sleep 0.2; echo 0123456789") == "****"
    assert run("%shell echo $MY_TOKEN >&2") == "****"
    reply = run.attempt("%shell echo $MY_TOKEN; seq 100000; exit 3")
    assert "canary" not in reply.shown + str(reply.error)
    (kept,) = (home / "cache").rglob("shell-*.log")
    assert kept.read_bytes().startswith(b"****\n1\n2\n")
    assert "canary" not in run("%shell -q -o echo $MY_TOKEN")
    run("found = get_ipython().run_line_magic('shell', '-q -o echo $MY_TOKEN')")
    assert run.shell.user_ns["found"].stdout == "canary-0123456789\n"
