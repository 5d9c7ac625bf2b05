"""The connections of several threads to web servers, which Ctrl-C ends at once.

Importing ``requests`` takes long: import this where needed.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from os import dup
from typing import Any, Callable, Dict

from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter

from .web import Session


class Connections:
    """A session for several threads. ``stop`` is set when their requests have to end at once."""

    def __init__(self, stop: threading.Event, at_once: int = DEFAULT_POOLSIZE) -> None:
        self._stop = stop
        self.session = Session(_Adapter(self.register, at_once))
        #: What each thread reads from.
        self._streams: Dict[int, Any] = {}

    def check(self) -> None:
        """Raise if all has to end."""
        if self._stop.is_set():
            raise KeyboardInterrupt

    def wake(self) -> None:
        """Wake the threads that wait for bytes, by ending their connections."""
        for stream in list(self._streams.values()):
            with suppress(Exception), socket.socket(fileno=dup(stream.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)

    def register(self, stream: Any) -> None:
        """Note what this thread reads from; raise if all has to end."""
        self._streams[threading.get_ident()] = stream
        self.check()


class _Adapter(HTTPAdapter):
    """Calls ``on_wait`` with each socket before the headers of its answer are awaited.

    ``requests`` gives a connection away only once they have come, and Ctrl-C must end it sooner.
    """

    def __init__(self, on_wait: Callable[[Any], None], at_once: int) -> None:
        self._on_wait = on_wait
        super().__init__(pool_maxsize=at_once)

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Return the pool for a URL; requests before 2.32 calls this."""
        return self._watched(super().get_connection(*args, **options))

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        """Return the pool for a URL; requests from 2.32 on calls this."""
        return self._watched(super().get_connection_with_tls_context(*args, **options))

    def _watched(self, pool: Any) -> Any:
        plain: Any = pool.ConnectionCls
        on_wait = self._on_wait
        if not hasattr(plain, "watched"):

            class Connection(plain):  # type: ignore[misc]
                watched = True

                def getresponse(self, *args: Any, **options: Any) -> Any:
                    on_wait(self.sock)
                    return super().getresponse(*args, **options)

            pool.ConnectionCls = Connection
        return pool
