"""Serve the double in a process of its own, for benchmarks; end with stdin.

The first line is JSON: ``url``, ``proxy`` and ``token``. Each line on stdin is answered by one of
JSON: ``reset`` forgets the requests, anything else counts them by action.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from . import TOKEN, GoogleDrive


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--certificate", nargs=2, type=Path)
    options = parser.parse_args()
    certificate = tuple(options.certificate) if options.certificate else None
    with GoogleDrive(certificate) as drive:
        drive.delay = options.delay
        _say({"url": drive.url, "proxy": drive.proxy.url, "token": TOKEN})
        for line in sys.stdin:
            if line.strip() == "reset":
                drive.reset()
            counts = Counter(request.action for request in drive.made())
            _say({"requests": counts, "received": drive.received, "files": len(drive.files.all)})


def _say(value: object) -> None:
    print(json.dumps(value), flush=True)


main()
