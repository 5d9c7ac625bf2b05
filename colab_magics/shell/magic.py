"""``%shell``."""

from __future__ import annotations

import dis
import re
import shlex
import sys
from argparse import ArgumentTypeError, Namespace
from contextlib import suppress
from typing import Any, Dict, List, Optional, Tuple
from weakref import WeakKeyDictionary

from ..core.arguments import Choice, Parser, seconds, split_flags
from ..core.display import Preformatted, Report, amount
from ..core.errors import input_errors, usage_error
from ..extension.magic import Magic
from ..extension.output import interrupted, say, show
from .dialects import DIALECTS
from .interpolation import expand, unset_variables, visible_names
from .magic_error import make_error
from .magic_output import CommandOutput, in_terminal
from .state import PersistentShell, find_shell

#: A word as a shell reads it, with its quotes.
_WORD = re.compile(r"""(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")*(?=\s|$)""", re.DOTALL)

#: The shells of each kernel: like its variables, they outlive a reload of the extension.
_SHELLS: WeakKeyDictionary[Any, Dict[str, PersistentShell]] = WeakKeyDictionary()


class ShellMagic(Magic):
    """Run a command in a shell that remembers: what one command sets, the next one finds.

    Directory, variables, functions, aliases, options and activated environments carry over, and
    the kernel follows to the directory and takes over the environment (``os.environ``). Output
    appears as it comes, errors in their place among it, with progress bars in place; of long output
    the first 250 and the last 150 lines are shown, and all of it is in a log. A command that fails
    is an error. ``x = %shell`` gets standard output and standard error apart.

    In ``%shell``, ``{name}`` is the value of a Python variable or expression; ``$NAME`` is the
    shell's; on Colab it is Python's where only Python has it. In ``%%shell`` all is the shell's.
    Nothing can be typed into a command: what asks gets the end of its input. It is no step of the
    setup cell.

    Ctrl-C interrupts the command, a second one ends it, a third one by force. Not carried over:
    traps, ``ulimit``, open files and jobs; in ``sh``, functions; in ``zsh``, ``cd -``. Each shell
    (``--use zsh``, ``--use sh``) has a state of its own.

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
        %shell                                 # the state of the shell; nothing is run

        %%shell
        for name in *.csv; do
          wc -l "$name"
        done
    """

    name = "shell"

    @classmethod
    def parser(cls) -> Parser:
        """Return the options that may be before the command."""
        return parser()

    def __call__(self, line: str, cell: Optional[str] = None) -> Any:
        """Run a line, which is the shell's to the last character behind the options."""
        options, command = parse(line)
        if "help" in options.flags:
            show(Preformatted(self.help()))
            return None
        if cell is not None and command:
            raise usage_error("%%shell takes options only; commands are below it.", "See %shell?")
        if options.log and not options.background:
            raise usage_error("%shell --log goes with --background.", "See %shell?")
        shell = self._shell(options)
        if cell is not None:
            return self._run(shell, options, cell, cell)
        if command:
            return self._run(shell, options, self._expand(shell, command), command)
        if options.background:
            raise usage_error("%shell --background: the command is missing.", "See %shell?")
        return self._show_state(shell)

    def _shell(self, options: Namespace) -> PersistentShell:
        name = find_shell(options.use)
        shells = _SHELLS.setdefault(self.host.shell, {})
        shell = shells.setdefault(name, PersistentShell(name))
        if options.fresh:
            shell.forget()
        return shell

    def _expand(self, shell: PersistentShell, command: str) -> str:
        """Return a command with the values of Python in it.

        Of a bare ``$NAME`` that the shell does not have Colab's own ``%shell`` takes Python's.
        """
        names = visible_names(self.host.shell.user_ns, self.host.shell.user_ns_hidden)
        used = (name for name in unset_variables(command) if name in names)
        missing = [name for name in used if not shell.has_variable(name)]
        if missing:
            name, here = missing[0], "Python's is taken" if self.host.colab else "it is empty"
            text = f"The shell has no variable {name}: {here}. Write {{{name}}} for Python's."
            self.session.notices.once(text, key="%shell $")
        return expand(command, names, missing if self.host.colab else ())

    def _run(self, shell: PersistentShell, options: Namespace, command: str, typed: str) -> Any:
        """Run a command, or start it as a job; ``typed`` is the text in the cell."""
        if options.background:
            return self._start_job(shell, options, command, typed)
        quiet, returns = "quiet" in options.flags, "output" in options.flags
        captures = returns or _result_is_used()
        output = CommandOutput(self.host, quiet, captures)
        tty = output.view.tty and not options.no_tty
        try:
            # Only a result needs the streams apart: two have no order.
            ended, notes = shell.run(command, output, options.timeout, tty, merged=not captures)
        except BaseException:
            output.close()
            raise
        self.host.shell.user_ns["_exit_code"] = ended.status
        notes += output.close(ended.background)
        shell.log = output.log.path or shell.log
        error = make_error(typed, ended, output, options.timeout)
        if error is not None and ended.timed_out and options.ignore_errors:
            notes.append(error.message)
        if not quiet:
            say(*notes)
        if ended.interrupted:
            raise interrupted()
        if error is not None and not options.ignore_errors:
            raise error
        return output.result(ended, error, returns) if captures else None

    def _start_job(
        self, shell: PersistentShell, options: Namespace, command: str, typed: str
    ) -> Any:
        from ..jobs.magic_start import start

        options.tty = self.host.live and not options.no_tty
        job, message = start(self.session, shell, options, command, typed)
        if "quiet" not in options.flags:
            say(message)
        return job if "output" in options.flags else None

    def _show_state(self, shell: PersistentShell) -> None:
        cwd = self.host.cwd
        directory = self.host.spell_typed(".") if cwd is not None else "a directory that is gone"
        carried = [f"{kind}: {number}" for kind, number in shell.carried.counts.items() if number]
        rows = [("shell", shell.name), ("directory", directory)]
        rows.append(("carried", ", ".join(carried) or "-"))
        if shell.log is not None and shell.log.exists():
            path = f"{shell.log} ({amount(shell.log.stat().st_size)})"
            compared = not self.host.live and not in_terminal(self.host)  # by executors
            rows.append(("last log", "x = %shell ... gives x.log" if compared else path))
        show(Report((), tuple(rows)))

    def complete(self, line: str, symbol: str) -> List[str]:
        """Return options, as long as no command has begun."""
        text = line[: len(line) - len(symbol)].lstrip().partition(" ")[2]
        with suppress(*input_errors()):  # a quote that is not closed yet
            words, command = split_options(text)
            return [] if command else parser().complete(words, symbol)
        return []


def parser() -> Parser:
    """Return the options of ``%shell``, which are before the command."""
    tree = Parser("%shell", usage="%(prog)s [OPTIONS] [--] COMMAND")
    add = tree.add_argument
    add("--ignore-errors", action="store_true", help="a command that fails is no error")
    add("--timeout", type=seconds, metavar="SECONDS", help="end the command then")
    add("--no-tty", action="store_true", help="do not pretend to be a terminal")
    add("--fresh", action="store_true", help="first forget what is carried over")
    add(
        "--use",
        type=Choice("%shell", "shell", DIALECTS),
        default="",
        metavar="SHELL",
        help="bash, zsh or sh",
    )
    add(
        "--background",
        type=_not_empty,
        metavar="NAME",
        help="start it as a job: it outlives cell, tab and kernel; see %%jobs",
    )
    add("--log", type=_not_empty, metavar="PATH", help="copy the log of a job there: drive:x.log")
    tree.epilog = "-q: show nothing of the output. -o: show the result, which x = %shell gives."
    return tree


def _not_empty(text: str) -> str:
    if not text:
        raise ArgumentTypeError("its value is missing")
    return text


def parse(line: str) -> Tuple[Namespace, str]:
    """Return the options at the start of a line, and the command behind them as it was typed.

    ``flags`` of the options are those that all magics have.
    """
    words, command = split_options(line)
    words, flags = split_flags(words)
    for flag in {*flags} - {"quiet", "output", "help"}:
        raise usage_error(
            f"%shell has no option --{flag.replace('_', '-')}.",
            "Type %shell? for examples.",
            code="unknown-option",
        )
    _, options = parser().parse_words(words)
    options.flags = flags
    return options, command


def split_options(line: str) -> Tuple[List[str], str]:
    """Split a line into the words of its options and the command behind them, as it was typed."""
    tree, words, rest = parser(), [], line.strip()
    while rest.startswith("-"):
        word, rest = _split_word(rest)
        if word == "--":
            break
        words.append(word)
        if tree.takes_value(word) and rest and not rest.startswith("-"):
            word, rest = _split_word(rest)
            words.append(word)
    return words, rest


def _split_word(line: str) -> Tuple[str, str]:
    """Return the first word of a line, without its quotes, and the text behind it."""
    word = _WORD.match(line)
    if word is None:
        raise usage_error("A quote is not closed in the options of this line.", "Close it.")
    return "".join(shlex.split(word.group())), line[word.end() :].lstrip()


def _result_is_used() -> bool:
    """Return whether the line that called the running magic uses its value.

    It does in ``x = %shell ls``, not in ``%shell ls``. IPython does not tell, and holds the value
    of the last line of a cell for as long as the kernel lives. An unclear case counts as used.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_name not in {"run_line_magic", "run_cell_magic"}:
        if frame.f_back is None:
            return True
        frame = frame.f_back
    caller = frame.f_back
    if caller is None:
        return True
    instructions = dis.get_instructions(caller.f_code)
    after = next((step for step in instructions if step.offset > caller.f_lasti), None)
    # What Python does with a value that nobody uses; the last value of a cell is only shown.
    drops = {"POP_TOP", "PRINT_EXPR", "INTRINSIC_PRINT"}
    return after is None or not {after.opname, after.argrepr} & drops
