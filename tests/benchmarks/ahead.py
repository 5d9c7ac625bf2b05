"""What it saves that downloads of a setup cell begin while the lines above them work.

``python tests/benchmarks/ahead.py`` prints seconds for a cell with three seconds of other work and
60 MB from a server that sends 20 MB a second: as it is, and with each line beginning at its turn.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Dict

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

WORK, BLOCK, BLOCKS = 3.0, bytes(10**6), 60


class Slow(BaseHTTPRequestHandler):
    """Sends a million bytes each twentieth of a second."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BLOCK) * BLOCKS))
        self.end_headers()
        for _ in range(BLOCKS):
            self.wfile.write(BLOCK)
            time.sleep(0.05)

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing."""


def seconds(folder: Path, url: str, environment: Dict[str, str], before: str) -> float:
    """How long the cell takes in a fresh process."""
    from support.cells import Child

    lines = ["# colab_magics:setup v1", "%env_persist A=1", f"import time; time.sleep({WORK})"]
    with Child({**environment, "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}) as shell:
        shell(before)
        started = time.perf_counter()
        shell("\n".join([*lines, f"%fetch {url} {folder}/"]))
        return time.perf_counter() - started


def main() -> None:
    """Both ways, once each."""
    off = "from colab_magics.extension import magic; magic.begin = lambda session: None"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/data.bin"
    took = {}
    for name, before in (("at its turn", off), ("ahead", "pass")):
        with tempfile.TemporaryDirectory() as folder:
            took[name] = seconds(Path(folder), url, dict(os.environ), before)
        print(f"{name}: {took[name]:.1f} s")
    print(f"ratio {took['at its turn'] / took['ahead']:.2f}")
    server.shutdown()


if __name__ == "__main__":
    main()
