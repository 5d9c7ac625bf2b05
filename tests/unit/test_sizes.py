"""Sizes of what would be downloaded, from an index on loopback."""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Dict, Iterator, List, Optional

import pytest

from colab_magics.pin.index import with_sizes
from colab_magics.pin.pip_config import PipSettings
from colab_magics.pin.plan import Item, Plan

PYTHON = f"cp{sys.version_info[0]}{sys.version_info[1]}"


class Index:
    """Project → its files with their sizes; a project that stalls is not answered."""

    def __init__(self) -> None:
        self.files: Dict[str, List[Dict[str, Any]]] = {}
        self.stalls, self.over = "", Event()
        self.url = ""
        self.asked: List[str] = []

    def add(self, file: str, size: Optional[int]) -> None:
        said = {} if size is None else {"size": size}
        self.files.setdefault(file.split("-")[0], []).append({"filename": file, **said})

    def sizes(self, *items: Item, **settings: str) -> Dict[str, Optional[int]]:
        plan: Plan = {item.name: item for item in items}
        found = with_sizes(plan, PipSettings({"index-url": self.url, **settings}), ["demo"])
        assert list(found) == list(plan)
        return {name: item.size for name, item in found.items()}


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index of this process, asked without the proxy of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = Index()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rstrip("/").rpartition("/")[2]
            served.asked.append(name)
            if name == served.stalls:
                served.over.wait(30)
            text = json.dumps({"files": served.files.get(name, [])}).encode()
            self.send_response(200 if name in served.files else 404)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda request, address: None  # type: ignore[method-assign]
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    yield served
    served.over.set()
    server.shutdown()
    server.server_close()


DEMO = Item("demo", "1.0")


def test_the_wheel_that_fits_best(index: Index) -> None:
    """Of several, that of this Python before a pure one; others and the sources do not count."""
    index.add("demo-1.0-py3-none-any.whl", 3)
    index.add(f"demo-1.0-{PYTHON}-none-any.whl", 5)
    index.add("demo-1.0-cp27-cp27m-win32.whl", 7)
    index.add("demo-1.0.tar.gz", 11)
    index.add(f"demo-2.0-{PYTHON}-none-any.whl", 13)
    assert index.sizes(DEMO) == {"demo": 5}


def test_the_sources_where_no_wheel_fits(index: Index) -> None:
    """What is built here is fetched as its sources."""
    index.add("demo-1.0-cp27-cp27m-win32.whl", 7)
    index.add("demo-1.0.tar.gz", 11)
    assert index.sizes(DEMO) == {"demo": 11}


def test_what_is_not_said_is_left_out(index: Index) -> None:
    """No size on the page, no page, another version: unknown, and no error."""
    index.add("demo-1.0-py3-none-any.whl", None)
    index.add("other-1.0-py3-none-any.whl", 3)
    items = (DEMO, Item("absent", "1.0"), Item("other", "from https://x/y"))
    assert index.sizes(*items) == {"demo": None, "absent": None, "other": None}


def test_a_page_that_never_comes(index: Index) -> None:
    """One that stalls costs two seconds, and only its own size."""
    index.add("demo-1.0-py3-none-any.whl", 3)
    index.add("slow-1.0-py3-none-any.whl", 3)
    index.stalls = "slow"
    began = time.monotonic()
    assert index.sizes(Item("slow", "1.0"), DEMO) == {"slow": None, "demo": 3}
    assert time.monotonic() - began < 4


def test_what_is_cached_is_not_asked_for(index: Index) -> None:
    """Nothing is asked of what is not downloaded."""
    assert index.sizes(Item("demo", "1.0", cached=True)) == {"demo": None}
    assert index.asked == []


def test_a_file_in_a_folder_is_not_downloaded(index: Index, tmp_path: Path) -> None:
    """Where ``--find-links`` has the version in a folder, nobody says a download."""
    index.add("demo-1.0-py3-none-any.whl", 3)
    (tmp_path / "demo-1.0-py3-none-any.whl").write_text("x")
    assert index.sizes(DEMO, **{"find-links": str(tmp_path)}) == {"demo": None}
    assert index.sizes(Item("demo", "2.0"), **{"find-links": str(tmp_path)}) == {"demo": None}
    assert index.asked == ["demo"]


@pytest.mark.parametrize(
    "settings",
    [
        {"extra-index-url": "http://me:hunter2@127.0.0.1:9/simple"},
        {"extra-index-url": "file:///somewhere"},
        {"find-links": "https://127.0.0.1:9/links.html"},
        {"no-index": "1"},
        {"no-binary": ":all:"},
    ],
)
def test_places_that_are_not_asked(index: Index, settings: Dict[str, str]) -> None:
    """Where the file may come from elsewhere, no size is said and nobody is asked."""
    index.add("demo-1.0-py3-none-any.whl", 3)
    assert index.sizes(DEMO, **settings) == {"demo": None}
    assert index.asked == []


def test_indexes_of_uv_alone(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index in uv's own variable is not known here: no size is said."""
    index.add("demo-1.0-py3-none-any.whl", 3)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    assert index.sizes(DEMO) == {"demo": None}


def test_two_indexes_that_differ(index: Index) -> None:
    """A size that two indexes say differently is not said."""
    index.add("demo-1.0-py3-none-any.whl", 3)
    index.add("demo-1.0-py3-none-any.whl", 4)
    assert index.sizes(DEMO) == {"demo": None}
