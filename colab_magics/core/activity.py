"""Whether a silent program is at work, by what the system counts of its processes.

Sources: proc(5), and sock_diag(7) for the bytes received over each connection: they are in no file
of ``/proc``. Where a system has neither, nothing is known, and no program counts as idle.
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
#: Places in ``/proc/PID/stat`` behind the name.
_SESSION, _USER, _SYSTEM = 3, 11, 12
#: Seconds of work that are none: a program that draws its progress wakes up a few times a second.
_LITTLE = 0.05

#: ``NETLINK_SOCK_DIAG``; a request for all TCP connections of a family, with their ``tcp_info``.
_SOCK_DIAG, _BY_FAMILY, _DUMP, _INFO = 4, 20, 0x301, 2
_REQUEST = struct.Struct("=IHHII BBBBI 48x")
_HEAD = struct.Struct("=IH")
_ATTRIBUTE = struct.Struct("=HH")
#: Of an answer: the sizes of its two heads, and the places of the inode, and in ``tcp_info``.
_NLMSG, _DIAG, _INODE, _RECEIVED = 16, 72, 68, 128


class Idle:
    """For how long the programs of a session have done nothing, while ``excused`` is false."""

    def __init__(self, session: int, excused: Callable[[], bool]) -> None:
        self._session, self._excused = session, excused
        self.restart()

    def restart(self) -> None:
        """Count from now: a program has just done something."""
        self._work: Optional[_Work] = None
        self._since = time.monotonic()

    @property
    def received(self) -> Dict[str, int]:
        """The bytes that each open connection had received at the last look."""
        return self._work.received if self._work is not None else {}

    def seconds(self) -> float:
        """Return the seconds since they last worked; 0 where they do, or nothing is known."""
        now = time.monotonic()
        work = None if self._excused() else _measure_work(self._session)
        if work is None or self._work is None or work.exceeds(self._work):
            self._work, self._since = work, now
        return now - self._since


class _Work(NamedTuple):
    """What processes have done so far: processor seconds, ``/proc/PID/io``, bytes received."""

    seconds: float
    io: Dict[str, bytes]
    received: Dict[str, int]

    def exceeds(self, other: _Work) -> bool:
        new = any(count > other.received.get(name, 0) for name, count in self.received.items())
        return new or self.io != other.io or self.seconds > other.seconds + _LITTLE


def _measure_work(session: int) -> Optional[_Work]:
    """Return what the processes of a session have done; None where that says nothing.

    A Python at work builds a package, which may wait for as long as it likes, and so may a process
    that waits for the lock of another program.
    """
    ticks, io = 0, {}
    waiting = _find_lock_waiters()
    sockets: Set[str] = set()
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError, IndexError):  # it has ended meanwhile
            name, _, rest = (folder / "stat").read_bytes().rpartition(b") ")
            words = rest.split()
            if int(words[_SESSION]) != session:
                continue
            is_build = folder.name != str(session) and b"(python" in name
            if folder.name in waiting or is_build:
                return None
            ticks += int(words[_USER]) + int(words[_SYSTEM])
            io[folder.name] = (folder / "io").read_bytes()
            sockets.update(os.readlink(str(link)) for link in (folder / "fd").iterdir())
    if not io:
        return None
    received = {}
    with suppress(OSError):  # not on every system
        connections = ((f"socket:[{inode}]", count) for inode, count in _connections())
        received = {name: count for name, count in connections if name in sockets}
    return _Work(ticks / os.sysconf("SC_CLK_TCK"), io, received)


def _find_lock_waiters() -> Set[str]:
    """Return the processes that wait for a lock on a file: ``->`` marks them."""
    with suppress(OSError):
        lines = [line.split() for line in (_PROC / "locks").read_text().splitlines()]
        return {words[5] for words in lines if len(words) > 5 and words[1] == "->"}
    return set()


def _connections() -> Iterator[Tuple[int, int]]:
    """Yield each TCP connection of this machine: its inode, and the bytes received over it."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as link:
            link.settimeout(1.0)
            all_states, tcp, size = 0xFFFFFFFF, socket.IPPROTO_TCP, _REQUEST.size
            link.send(
                _REQUEST.pack(
                    size, _BY_FAMILY, _DUMP, 0, 0, family, tcp, 1 << (_INFO - 1), 0, all_states
                )
            )
            yield from _parse_answers(link)


def _parse_answers(link: socket.socket) -> Iterator[Tuple[int, int]]:
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
