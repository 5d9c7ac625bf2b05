"""The error of a command that did not succeed: what became of it, and what may help."""

import re
import signal
from typing import List, Optional

from ..core.errors import CommandFailed, scrub
from .magic_output import Heard
from .runner import Ended


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


def failed(
    typed: str, ended: Ended, heard: Heard, timeout: Optional[float] = None
) -> Optional[CommandFailed]:
    """The error, with the last lines that the command has printed; None where it did succeed."""
    if not ended.status and not ended.timed_out:
        return None
    name, last = typed.strip(), heard.last(5)
    name = name if "\n" not in name and len(typed) < 80 else "The cell"
    what, advice = f"{name}: {_how(ended, timeout)}", _advice(typed, ended, last)
    error = CommandFailed(what, advice, _said(last), ended.status)
    error.cmd, error.output = scrub(typed.strip()), heard.recent()
    return error


def interrupted() -> KeyboardInterrupt:
    """What Ctrl-C raises, shown as one line: the way to it through our code says nothing."""
    error = KeyboardInterrupt()
    setattr(error, "_render_traceback_", lambda: ["KeyboardInterrupt"])  # noqa: B010 - not typed
    return error


def signalled(status: int) -> str:
    """The signal that a status stands for: -9 and 137 are SIGKILL; empty where it is none."""
    number = -status if status < 0 else status - 128
    try:
        return signal.Signals(number).name
    except ValueError:  # of those without a name only the system's own word is one
        return f"signal {number}" if status < 0 else ""


def worded(status: int) -> str:
    """A status, and the signal that it stands for."""
    name = signalled(status)
    return f"status {status} ({name})" if name else f"status {status}"


def full(status: int) -> bool:
    """Whether a program was ended by force, as the system does where the memory is full."""
    return status in (137, -9)


def _how(ended: Ended, timeout: Optional[float]) -> str:
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


def _said(last: List[str]) -> str:
    return "\n".join(["The last lines:", *(f"  {line}" for line in last)]) if last else ""
