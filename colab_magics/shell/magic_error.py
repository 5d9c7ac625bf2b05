"""The error of a command that did not succeed, in words of its status and its last lines."""

from __future__ import annotations

import re
import signal
from typing import List, Optional

from ..core.errors import CommandFailed
from ..core.redact import redact
from .magic_output import CommandOutput
from .runner import Exit

#: The hint where the system may have ended a program by force.
MEMORY_HINT = "Perhaps the memory is full: %shell free -h"
#: The last line of programs that have got no answer: Python's `input`, git, apt and its like.
_NO_ANSWER = re.compile(
    r"EOFError: EOF when reading a line|fatal: could not read (Username|Password) .*"
    r"|.*\[([Yy]/[Nn])\]( Abort\.)?"
)


def make_error(
    typed: str, ended: Exit, output: CommandOutput, timeout: Optional[float]
) -> Optional[CommandFailed]:
    """Return the error of a command, with its last lines; None if it succeeded."""
    if not ended.status and not ended.timed_out:
        return None
    typed, lines = typed.strip(), output.view.output.last_lines(5)
    name = typed if "\n" not in typed and len(typed) < 80 else "The cell"
    details = "\n".join(["The last lines:", *(f"  {line}" for line in lines)]) if lines else ""
    message, hint = f"{name}: {_describe_end(ended, timeout)}", _hint(ended, lines)
    code = "timeout" if ended.timed_out else ""
    error = CommandFailed(message, hint, details, ended.status, code=code)
    error.cmd, error.output = redact(typed), output.recent.decode("utf-8", "replace")
    return error


def _describe_end(ended: Exit, timeout: Optional[float]) -> str:
    if ended.timed_out:
        return f"ended, because it was not done in {timeout:g} s."
    if ended.status < 0:
        return f"the shell was ended by {signal_name(ended.status)}."
    return f"ended with {describe_status(ended.status)}."


def _hint(ended: Exit, last_lines: List[str]) -> str:
    if ended.timed_out:
        return "Allow more time: --timeout SECONDS."
    if ended.status == 127:
        return "Command not found: check the spelling, or install it (%apt, %pin)."
    if ended.status == 126:
        return "It may not be executed: chmod +x, or name the program that runs it."
    if was_killed(ended.status):
        return MEMORY_HINT
    if any(map(_NO_ANSWER.fullmatch, last_lines)):
        return "It asked for input, and nothing can be typed in here: pass the answer as an option."
    return "To continue after an error: --ignore-errors"


def describe_status(status: int) -> str:
    """Return a status, with the signal that it stands for."""
    name = signal_name(status)
    return f"status {status} ({name})" if name else f"status {status}"


def signal_name(status: int) -> str:
    """Return the signal that a status stands for: -9 and 137 are SIGKILL; empty if it is none."""
    number = -status if status < 0 else status - 128
    try:
        return signal.Signals(number).name
    except ValueError:  # of those without a name only the system's own word is one
        return f"signal {number}" if status < 0 else ""


def was_killed(status: int) -> bool:
    """Return whether a program was ended by force, as the system does if the memory is full."""
    return status in (137, -9)
