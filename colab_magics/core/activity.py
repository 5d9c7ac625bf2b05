"""What a program does while it says nothing, by what the system counts of its processes.

Sources: proc(5), and sock_diag(7) for the bytes that have come over each connection: they are in
no file of ``/proc``. Where a system has neither, nothing is known, and so no program is blamed.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Set, Tuple

_PROC = Path("/proc")
#: Where these stand behind the name in ``/proc/PID/stat``.
_SESSION, _USER, _SYSTEM = 3, 11, 12
#: Seconds of work that are none: a program that draws its progress wakes up a few times a second.
_LITTLE = 0.05

#: ``NETLINK_SOCK_DIAG``; a request for all TCP connections of a family, with their ``tcp_info``.
_SOCK_DIAG, _BY_FAMILY, _DUMP, _INFO = 4, 20, 0x301, 2
_REQUEST = struct.Struct("=IHHII BBBBI 48x")
_HEAD = struct.Struct("=IH")
_ATTRIBUTE = struct.Struct("=HH")
#: Of an answer: the sizes of its two heads; where the inode stands, and the count in ``tcp_info``.
_NLMSG, _DIAG, _INODE, _RECEIVED = 16, 72, 68, 128


class Idle:
    """For how long the programs of a session have done nothing; ``excused`` while that is right."""

    def __init__(self, session: int, excused: Callable[[], bool]) -> None:
        self._session, self._excused = session, excused
        self.restart()

    def restart(self) -> None:
        """Count from now: one has just done something."""
        self._work: Optional[_Work] = None
        self._since = time.monotonic()

    def seconds(self) -> float:
        """The seconds since they were last seen at work; 0 where they are, or nothing is known."""
        now = time.monotonic()
        work = None if self._excused() else _work_of(self._session)
        if work is None or self._work is None or work.exceeds(self._work):
            self._work, self._since = work, now
        return now - self._since


class _Work(NamedTuple):
    """What processes have done so far: seconds of a processor, and what was read and written."""

    seconds: float
    moved: Dict[str, bytes]
    received: Dict[str, int]

    def exceeds(self, other: _Work) -> bool:
        """Whether it is more than another, by more than a little."""
        new = any(count > other.received.get(name, 0) for name, count in self.received.items())
        return new or self.moved != other.moved or self.seconds > other.seconds + _LITTLE


def _work_of(session: int) -> Optional[_Work]:
    """What the processes of a session have done.

    None where none is listed, or one of them has a Python at work: that builds a package, which
    may wait for as long as it likes; and where one waits for the lock of another program.
    """
    ticks, moved = 0, {}
    waiting = _lock_waiters()
    sockets: Set[str] = set()
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError, IndexError):  # it has ended meanwhile
            name, _, rest = (folder / "stat").read_bytes().rpartition(b") ")
            words = rest.split()
            if int(words[_SESSION]) != session:
                continue
            if folder.name in waiting:
                return None
            if folder.name != str(session) and b"(python" in name:
                return None
            ticks += int(words[_USER]) + int(words[_SYSTEM])
            moved[folder.name] = (folder / "io").read_bytes()
            sockets.update(os.readlink(str(link)) for link in (folder / "fd").iterdir())
    if not moved:
        return None
    received = {}
    with suppress(OSError):  # not on every system
        for inode, count in _connections():
            if f"socket:[{inode}]" in sockets:
                received[str(inode)] = count
    return _Work(ticks / os.sysconf("SC_CLK_TCK"), moved, received)


def _lock_waiters() -> Set[str]:
    """The processes that wait for a lock on a file: ``->`` marks them in ``/proc/locks``."""
    with suppress(OSError):
        lines = [line.split() for line in (_PROC / "locks").read_text().splitlines()]
        return {words[5] for words in lines if len(words) > 5 and words[1] == "->"}
    return set()


def _connections() -> Iterator[Tuple[int, int]]:
    """Each TCP connection of this machine: its inode, and the bytes that have come over it."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as link:
            link.settimeout(1.0)
            all_states, tcp, size = 0xFFFFFFFF, socket.IPPROTO_TCP, _REQUEST.size
            link.send(
                _REQUEST.pack(
                    size, _BY_FAMILY, _DUMP, 0, 0, family, tcp, 1 << (_INFO - 1), 0, all_states
                )
            )
            yield from _answers(link)


def _answers(link: socket.socket) -> Iterator[Tuple[int, int]]:
    while True:
        data = link.recv(1 << 16)
        while len(data) >= _NLMSG:
            length, kind = _HEAD.unpack_from(data)
            if kind != _BY_FAMILY:  # the end, or a refusal
                return
            message, data = data[_NLMSG:length], data[(length + 3) & ~3 :]
            (inode,) = struct.unpack_from("=I", message, _INODE)
            attributes = message[_DIAG:]
            while len(attributes) >= _ATTRIBUTE.size:
                size, name = _ATTRIBUTE.unpack_from(attributes)
                if name == _INFO and size >= _ATTRIBUTE.size + _RECEIVED + 8:
                    at = _ATTRIBUTE.size + _RECEIVED
                    yield inode, struct.unpack_from("=Q", attributes, at)[0]
                attributes = attributes[max((size + 3) & ~3, _ATTRIBUTE.size) :]
