"""What a program writes to: a terminal that nobody can type into, or a pipe."""

import os
import struct
import sys
from contextlib import suppress
from typing import List, Optional, Tuple


#: How large a program takes the terminal for; wider bars would be broken in a narrow window.
COLUMNS, ROWS = 80, 40
_CHUNK = 1 << 16
#: Linux: nobody else can open the terminal by its name.
_LOCK = 0x40045431
#: Linux: open the end that is written to, from ours.
_PEER = 0x5441


def channels(tty: bool, merged: bool) -> List[Tuple[int, int]]:
    """Two terminals, or pipes: of each our end, and the one that is written to.

    ``merged``: both are the same. Raises OSError, and leaves none then.
    """
    make = _terminal if tty else os.pipe
    first = make()
    try:
        return [first, first if merged else make()]
    except BaseException:
        close(*first)
        raise


def close(*ends: int) -> None:
    """Close each end once."""
    for end in {*ends}:
        os.close(end)


def read(ours: int) -> Optional[bytes]:
    """What our end, which does not block, has to say: nothing at its end, None while silent."""
    try:
        return os.read(ours, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:  # Linux says so of a terminal that nobody has open any more
        return b""


def _terminal() -> Tuple[int, int]:
    """A terminal: our end, and the one that is written to.

    Bytes come as they are written. It is open for writing alone: pagers and editors that find no
    keyboard at standard input look for one at their outputs, and would wait there for ever.
    """
    import fcntl
    import termios

    ours, theirs = os.openpty()
    try:
        mode = termios.tcgetattr(theirs)
        mode[1] &= ~termios.OPOST
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, mode)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        write_only = os.open(os.ttyname(theirs), os.O_WRONLY | os.O_NOCTTY)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.ioctl(ours, _LOCK, struct.pack("i", 1))
    return ours, write_only


def end_seen(ours: int) -> None:
    """Have the end of a terminal that nobody has open any more be read as such.

    Linux forgets it where a program, such as ``less``, was refused to open the terminal by name.
    """
    if sys.platform != "linux":
        return
    import fcntl

    with suppress(OSError):  # it is a pipe, or closed
        fcntl.ioctl(ours, _LOCK, struct.pack("i", 0))
        os.close(fcntl.ioctl(ours, _PEER, os.O_RDONLY | os.O_NOCTTY))
        fcntl.ioctl(ours, _LOCK, struct.pack("i", 1))
