"""``%shell``: its options, and the error of a command that did not succeed."""

from __future__ import annotations

import dis
import math
import re
import shlex
import signal
import sys
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from weakref import WeakKeyDictionary

from ..core.display import Report, amount
from ..core.errors import CommandFailed, usage_error
from ..core.redact import redact
from ..extension.magic import Magic
from ..extension.output import interrupted, say, show
from .interpolation import expand
from .magic_output import Heard, in_terminal
from .runner import Ended
from .state import Lasting, find

_FLAGS = {
    "-o": "output",
    "--output": "output",
    "-q": "quiet",
    "--quiet": "quiet",
    "-h": "help",
    "--help": "help",
    "--ignore-errors": "ignore_errors",
    "--no-tty": "no_tty",
    "--fresh": "fresh",
}
_VALUED = {"--timeout": "timeout", "--use": "use", "--background": "background", "--log": "log"}
#: A word as a shell reads it, with its quotes.
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")*(?=\s|$)""", re.DOTALL)

#: The shells of each kernel: like its variables, they outlive a reload of the extension.
_SHELLS: WeakKeyDictionary[Any, Dict[str, Lasting]] = WeakKeyDictionary()

#: Where IPython calls a magic from.
_CALLS = {"run_line_magic", "run_cell_magic"}
#: What Python does with a value that nobody takes; the last value of a cell is only shown.
_DROPS = {"POP_TOP", "PRINT_EXPR", "INTRINSIC_PRINT"}

#: What may help where the system has ended a program by force.
MEMORY = "Perhaps the memory is full: %shell free -h"
#: What programs say that wanted to be answered.
_ASKED = re.compile(
    r"EOFError|end[- ]of[- ]file|EOF when|read(ing)? .*(stdin|standard input)|not a (tty|terminal)"
    r"|/dev/tty|could not read (User|Pass)|standard input is closed|\[[yY]/[nN]\]|Abort\.?$",
    re.IGNORECASE,
)
#: What a shell says that cannot read its command.
_UNREAD = re.compile(r"^(bash|sh|zsh|\(eval\)):.*(syntax|parse) error", re.IGNORECASE)
_READS = re.compile(r"(^|[;&|(]|\b(do|then|while))\s*(read|select)\b")


class Options(NamedTuple):
    """What stands before the command."""

    flags: Tuple[str, ...] = ()
    timeout: Optional[float] = None
    use: str = ""
    background: str = ""
    log: str = ""


class ShellMagic(Magic):
    """Run a command in a shell that remembers: what one command sets, the next one finds.

    Directory, variables, functions, aliases, options and activated environments carry over, and
    the kernel follows to the directory and takes over the environment (``os.environ``). Output
    appears as it comes, with progress bars in place; of very long output the first and the last
    lines are kept, and the whole in a log. A command that fails is an error.

    In ``%shell``, ``{name}`` is the value of a Python variable or expression; ``$NAME`` is the
    shell's. In ``%%shell`` all is the shell's. Nothing can be typed into a command: what asks gets
    the end of its input. It is no step of the setup cell.

    Examples
    --------
    ::

        %shell cd src && make
        %shell export MODE=fast
        %shell source venv/bin/activate
        %shell wget {url}
        %shell --timeout 60 ./long.sh
        %shell --ignore-errors grep -c error log.txt
        commit = %shell -q git rev-parse HEAD  # .output, .stdout, .stderr, .status, .seconds
        %shell --background train python train.py      # outlives the kernel: see %jobs
        %shell                                 # how the shell stands; nothing is run

        %%shell
        for name in *.csv; do
          wc -l "$name"
        done

    Options
    -------
    Before the command. ``--ignore-errors``: a command that fails is no error. ``--timeout
    SECONDS``: end it then. ``-o``: show the result, which ``x = %shell ...`` gives in any case.
    ``-q``: show nothing of what the command prints. ``--no-tty``: do
    not pretend to be a terminal; some programs are faster then, or plainer. ``--fresh``: first
    forget what is carried over. ``--use zsh``, ``--use sh``: another shell than bash; each has a
    state of its own.
    ``--background NAME``: start it as a job, which outlives the cell, the tab and the kernel; its
    output goes to a log (``--log drive:logs/train.log``: there too); ``%jobs`` tells of it.
    Ctrl-C interrupts the command, a second one ends it, a third one by force. Not carried over:
    traps, ``ulimit``, open files and jobs; in ``sh``, functions; in ``zsh``, ``cd -``.
    """

    name = "shell"
    offers = (*sorted({*_VALUED, *_FLAGS} - {"-h", "--help", "--output", "--quiet"}),)

    def __call__(self, line: str, cell: Optional[str] = None) -> Any:
        """The line is read here: behind the options it is the shell's to the last character."""
        options, command = parse(line)
        if "help" in options.flags:
            print(self.help())
            return None
        if cell is not None and command:
            raise usage_error("%%shell takes options only; commands stand below it.", "See %shell?")
        shell = self._shell(options)
        if cell is not None:
            return self._run(shell, options, cell, cell)
        if not command and options.background:
            raise usage_error("%shell --background: there is no command.", "See %shell?")
        if not command:
            return self._standing(shell)
        python = self.host.shell
        expanded = expand(command, python.user_ns, python.user_ns_hidden)
        return self._run(shell, options, expanded, command)

    def _shell(self, options: Options) -> Lasting:
        name = find(options.use)
        shells = _SHELLS.setdefault(self.host.shell, {})
        shell = shells.setdefault(name, Lasting(name))
        if "fresh" in options.flags:
            shell.forget()
        return shell

    def _run(self, shell: Lasting, options: Options, command: str, typed: str) -> Any:
        """Run a command and show it; ``typed`` is what stands in the cell."""
        if options.background:
            return self._start(shell, options, command, typed)
        if options.log:
            raise usage_error("%shell --log goes with --background.", "See %shell?")
        show_result = "output" in options.flags
        keep = show_result or _result_is_used()
        heard = Heard(self.host, "quiet" in options.flags, keep)
        tty = heard.tty and "no_tty" not in options.flags
        try:
            ended, notes = shell.run(command, heard, options.timeout, tty)
        except BaseException:
            heard.close(False)
            raise
        self.host.shell.user_ns["_exit_code"] = ended.status
        notes = [*notes, *heard.close(ended.left)]
        shell.log = heard.log or shell.log
        error = failed(typed, ended, heard, options.timeout)
        self._ended(options, ended, error, notes)
        return heard.result(ended, error, show_result) if keep else None

    def _ended(
        self, options: Options, ended: Ended, error: Optional[CommandFailed], notes: List[str]
    ) -> None:
        """Say what is to be known of a command's end, and raise what it calls for."""
        ignored = "ignore_errors" in options.flags and not ended.interrupted
        if error is not None and ended.timed_out and ignored:
            notes = [*notes, error.message]
        if notes and "quiet" not in options.flags:
            say(*notes)
        if ended.interrupted:
            raise interrupted()
        if error is not None and not ignored:
            raise error

    def _start(self, shell: Lasting, options: Options, command: str, typed: str) -> Any:
        """Start a command as a job."""
        from ..jobs.magic_start import Asked, start

        tty = self.host.live and "no_tty" not in options.flags
        wanted = Asked(options.background, command, typed, options.timeout, tty, options.log)
        job, message = start(self.session, shell, wanted)
        if "quiet" not in options.flags:
            say(message)
        return job if "output" in options.flags else None

    def _standing(self, shell: Lasting) -> None:
        """Show the state, and change nothing."""
        cwd = self.host.cwd
        there = self.host.spell(cwd) if cwd is not None else "a directory that has vanished"
        counts = [_counted(number, what) for what, number in shell.carried.counts.items() if number]
        rows = [("shell", shell.name), ("directory", there), ("carried", ", ".join(counts) or "-")]
        if shell.log is not None and shell.log.exists():
            seen = self.host.live or in_terminal(self.host)  # a path would differ each time
            known = f"{shell.log} ({amount(shell.log.stat().st_size)})"
            rows.append(("last log", known if seen else "there: x = %shell ... gives x.log"))
        show(Report((), tuple(rows)))

    def complete(self, line: str, symbol: str) -> List[str]:
        """Options, as long as no command has begun."""
        words = line.split()[1:]
        before = words[:-1] if symbol and words else words
        return super().complete(line, symbol) if all(w[:1] == "-" for w in before) else []


def parse(line: str) -> Tuple[Options, str]:
    """The options that a line begins with, and the command behind them, as it was typed."""
    flags: List[str] = []
    values: Dict[str, str] = {}
    rest = line.strip()
    while rest.startswith("-"):
        word, rest = _word(rest)
        option, equals, value = word.partition("=")
        if word == "--":
            break
        if word in _FLAGS:
            flags.append(_FLAGS[word])
        elif option in _VALUED:
            if not equals and not rest.startswith("-"):
                value, rest = _word(rest)
            if not value:
                raise usage_error(f"%shell {option}: its value is missing.", "See %shell?")
            values[_VALUED[option]] = value
        else:
            raise usage_error(f"%shell has no option {word}.", "Type %shell? for help.")
    timeout = _seconds(values.pop("timeout", None))
    return Options(tuple(flags), timeout, **values), rest


def _word(line: str) -> Tuple[str, str]:
    """The first word of a line, without its quotes, and what stands behind it."""
    found = _WORD.match(line)
    if found is None:
        raise usage_error("A quote is not closed in the options of this line.", "Close it.")
    return "".join(shlex.split(found.group())), line[found.end() :].lstrip()


def _seconds(text: Optional[str]) -> Optional[float]:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise usage_error(f"%shell --timeout {text}: not a number of seconds.", "Say --timeout 60")
    return seconds


def _counted(number: int, what: str) -> str:
    plural = "es" if what.endswith("s") else "s"
    return f"{number} {what}{'' if number == 1 else plural}"


def _result_is_used() -> bool:
    """Tell whether the line that called the running magic does something with its value.

    That is so in ``x = %shell ls``, not in ``%shell ls``. IPython does not tell, and keeps what the
    last line of a cell returns for as long as the kernel lives. What is not clear counts as used.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_name not in _CALLS:
        if frame.f_back is None:
            return True
        frame = frame.f_back
    caller = frame.f_back
    if caller is None:
        return True
    steps = dis.get_instructions(caller.f_code)
    then = next((one for one in steps if one.offset > caller.f_lasti), None)
    return then is None or not {then.opname, then.argrepr} & _DROPS


def failed(
    typed: str, ended: Ended, heard: Heard, timeout: Optional[float] = None
) -> Optional[CommandFailed]:
    """The error, with the last lines that the command has printed; None where it did succeed."""
    if not ended.status and not ended.timed_out:
        return None
    name, last = typed.strip(), heard.last(5)
    name = name if "\n" not in name and len(typed) < 80 else "The cell"
    what, advice = f"{name}: {_end(ended, timeout)}", _advice(typed, ended, last)
    error = CommandFailed(what, advice, _last_lines(last), ended.status)
    error.cmd, error.output = redact(typed.strip()), heard.recent()
    return error


def _end(ended: Ended, timeout: Optional[float]) -> str:
    if ended.timed_out:
        return f"not done in {timeout:g} s, and ended."
    if ended.status < 0:
        return f"the shell was ended by {signalled(ended.status)}."
    return f"ended with {worded(ended.status)}."


def _advice(typed: str, ended: Ended, last: List[str]) -> str:
    if ended.timed_out:
        return "Give it longer: --timeout SECONDS."
    if ended.status == 127:
        return "No such command: check the spelling, or install it (%apt, %pin)."
    if ended.status == 126:
        return "It may not be run: chmod +x, or name the program that runs it."
    if full(ended.status):
        return MEMORY
    if any(map(_UNREAD.match, last)):
        return "The shell cannot read this: look for what is not closed or out of place."
    if _ASKED.search("\n".join(last)) or _READS.search(typed):
        return "Nothing can be typed in here: it got the end of its input. Pass the answer along."
    return "To go on all the same: --ignore-errors"


def _last_lines(last: List[str]) -> str:
    return "\n".join(["The last lines:", *(f"  {line}" for line in last)]) if last else ""


def worded(status: int) -> str:
    """A status, and the signal that it stands for."""
    name = signalled(status)
    return f"status {status} ({name})" if name else f"status {status}"


def signalled(status: int) -> str:
    """The signal that a status stands for: -9 and 137 are SIGKILL; empty where it is none."""
    number = -status if status < 0 else status - 128
    try:
        return signal.Signals(number).name
    except ValueError:  # of those without a name only the system's own word is one
        return f"signal {number}" if status < 0 else ""


def full(status: int) -> bool:
    """Whether a program was ended by force, as the system does where the memory is full."""
    return status in (137, -9)
