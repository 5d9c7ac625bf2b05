"""An HTTP proxy that leads every host to one server: so a real client reaches a double of it."""

from __future__ import annotations

import socket
import socketserver
import threading
from contextlib import suppress
from typing import List, Tuple


class Proxy:
    """Serve ``CONNECT`` on loopback; ``hosts`` has what was asked for."""

    def __init__(self, target: Tuple[str, int]) -> None:
        self.hosts: List[str] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy, self._server.target = self, target
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: Proxy
    target: Tuple[str, int]


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        words = self.rfile.readline().decode("latin-1").split()
        while self.rfile.readline().strip():
            pass
        if len(words) < 2 or words[0] != "CONNECT":
            self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        self.server.proxy.hosts.append(words[1])
        with socket.create_connection(self.server.target) as ahead:
            for end in (ahead, self.connection):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_relay, args=(ahead, self.connection), daemon=True)
            back.start()
            _relay(self.connection, ahead)
            back.join()


def _relay(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while True:
            data = source.recv(1 << 18)
            if not data:
                break
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
