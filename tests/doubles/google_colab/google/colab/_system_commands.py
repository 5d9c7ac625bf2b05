"""Commands of the shape of Colab's: `%shell`, and what `!` runs through.

Unlike Colab's these have no terminal and no input. The line of ``%shell`` is IPython's to expand,
so that ``$name`` is Python's where Python has it; a cell is bash's alone.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Optional

from IPython.core import magic_arguments
from IPython.utils import text


class ShellResult:
    """The result of a command."""

    def __init__(self, args: str, returncode: int, command_output: str) -> None:
        self.args, self.returncode, self.output = args, returncode, command_output

    def check_returncode(self) -> None:
        if self.returncode:
            raise subprocess.CalledProcessError(self.returncode, self.args, self.output)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """It was shown while it ran."""


def _run_command(command: str) -> ShellResult:
    done = subprocess.run(
        command,
        shell=True,
        executable="/bin/bash",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    sys.stdout.write(done.stdout)
    return ShellResult(command, done.returncode, done.stdout)


def _shell_line_magic(line: str) -> ShellResult:
    result = _run_command(line)
    result.check_returncode()
    return result


@magic_arguments.magic_arguments()
@magic_arguments.argument("--ignore-errors", dest="ignore_errors", action="store_true")
def _shell_cell_magic(args: str, cmd: str) -> ShellResult:
    """Run a cell."""
    result = _run_command(cmd)
    if not magic_arguments.parse_argstring(_shell_cell_magic, args).ignore_errors:
        result.check_returncode()
    return result


def _register_magics(shell: Any) -> None:
    shell.register_magic_function(_shell_line_magic, "line", "shell")
    shell.register_magic_function(_shell_cell_magic, "cell", "shell")


def _getoutput_compat(shell: Any, cmd: str, split: bool = True, depth: int = 0) -> Any:
    output = _run_command(shell.var_expand(cmd, depth=depth + 2)).output
    return text.SList(output.splitlines()) if split else text.LSString(output)


def _system_compat(shell: Any, cmd: str, also_return_output: bool = False) -> Optional[Any]:
    result = _run_command(shell.var_expand(cmd, depth=2))
    shell.user_ns["_exit_code"] = result.returncode
    return text.LSString(result.output) if also_return_output else None
