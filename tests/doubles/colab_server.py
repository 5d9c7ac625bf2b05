"""Colab's own Jupyter server, as far as the kernel asks it: ``/api/sessions`` and ``/api/kernels``.

Their form is what people have shown of it: a session's ``path`` is ``fileId=`` and the id of the
file on Drive, and its ``name`` is that of the notebook, URL-quoted. No token is asked for.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List


class ColabServer:
    """The server on loopback; ``asked`` are the paths of the requests."""

    def __init__(self) -> None:
        self.sessions: Any = []
        self.asked: List[str] = []
        #: Cleared: it accepts requests and does not answer them.
        self.answers = threading.Event()
        self.answers.set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def variables(self) -> Dict[str, str]:
        """What the kernels of a Colab machine know of it."""
        host, port = self._http.server_address[:2]
        return {"COLAB_JUPYTER_IP": str(host), "KMP_TARGET_PORT": str(port)}

    def open(self, name: str, kernel: str) -> None:
        """Open one more notebook, by its quoted name, on a kernel."""
        about = {"id": kernel, "name": "python3", "execution_state": "busy", "connections": 1}
        session = {"id": f"session{len(self.sessions)}", "path": "fileId=1aBcD", "name": name}
        self.sessions.append({**session, "type": "notebook", "kernel": about})

    def close(self) -> None:
        """End."""
        self.answers.set()
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> Any:
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.asked.append(self.path)
                double.answers.wait()
                content = double.sessions
                if self.path == "/api/kernels":
                    content = [session["kernel"] for session in double.sessions]
                data = json.dumps(content).encode()
                with suppress(OSError):  # nobody waits any more
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)

            def log_message(self, *words: object) -> None:
                pass

        return Handler
