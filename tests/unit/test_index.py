"""Why an installation failed, found out from a real package index on loopback."""

from __future__ import annotations

import base64
import json
import socket
import sys
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

import colab_magics.pin.failure as explain_module
from colab_magics.core.errors import InstallFailed
from colab_magics.pin.failure import explain
from colab_magics.pin.index import Unreachable, files_of
from colab_magics.pin.pip_config import PipSettings

MINOR = sys.version_info[1]
PYTHON = f"Python 3.{MINOR}"

#: File name, its requires-python, and whether it was withdrawn.
Listed = Tuple[str, Optional[str], bool]


class Request(NamedTuple):
    """What a client asked, and as whom."""

    path: str
    accept: str
    authorization: str


class Index:
    """An index that serves the pages it was given: ``add`` files, then ``explain``."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.files: Dict[str, List[Listed]] = {}
        self.status: Dict[str, int] = {}
        self.requests: List[Request] = []
        self.url = ""

    def add(self, name: str, *files: str, python: Optional[str] = None, gone: bool = False) -> None:
        self.files.setdefault(name, []).extend((file, python, gone) for file in files)

    def explain(self, *asked: str, **more: str) -> InstallFailed:
        return explain(asked, PipSettings({"index-url": self.url, **more}), ["error: said so"])

    def page(self, path: str) -> Tuple[int, str, str]:
        name = path.rstrip("/").rpartition("/")[2]
        if name in self.status or name not in self.files:
            return self.status.get(name, 404), "text/html", "<html>no such page</html>"
        if self.kind == "json":
            files = [
                {"filename": file, "url": file, "hashes": {}, "yanked": "bad" if gone else False}
                if python is None
                else {"filename": file, "url": file, "requires-python": python, "yanked": gone}
                for file, python, gone in self.files[name]
            ]
            kind = "application/vnd.pypi.simple.v1+json"
            return 200, kind, json.dumps({"name": name, "files": files})
        links = [
            f'<a href="../{file}#sha256=00"'
            + (f' data-requires-python="{escape(python)}"' if python else "")
            + (' data-yanked="bad"' if gone else "")
            + f">\n  {file}</a><br/>"
            for file, python, gone in self.files[name]
        ]
        return 200, "text/html; charset=utf-8", "<!DOCTYPE html><html>" + "\n".join(links)


@pytest.fixture(params=["json", "html"])
def index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index of each of the two kinds, asked without the proxy of this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    served = Index(request.param)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = (self.headers.get(name, "") for name in ("Accept", "Authorization"))
            served.requests.append(Request(self.path, *asked))
            status, kind, text = served.page(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed() -> Iterator[str]:
    """The address of an index that nobody serves, and nobody else can come to serve."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/simple/"


def wheels(name: str, version: str, *minors: int) -> List[str]:
    """The wheels of a compiled project for some Pythons."""
    flags = {minor: "m" if minor < 8 else "" for minor in minors}
    return [f"{name}-{version}-cp3{m}-cp3{m}{flags[m]}-manylinux1_x86_64.whl" for m in minors]


def test_a_version_that_is_too_old_names_its_pythons(index: Index) -> None:
    """The commonest case, to the letter: torch 1.5.0 on a Python of today."""
    minors = [minor for minor in (5, 6, 7, 8) if minor != MINOR]
    index.add("torch", *wheels("torch", "1.5.0", *minors), "torch-2.4.1-py3-none-any.whl")
    index.add("torch", "torch-2.3.0-py3-none-any.whl", "torch-2.5.0rc1-py3-none-any.whl")
    failed = index.explain("torch==1.5.0")
    only = "3.5-3.8" if MINOR > 8 else "3.5-3.7"
    assert failed.message == f"torch 1.5.0 has no build for {PYTHON} (only {only})."
    assert failed.hint == (f"For {PYTHON} there is: 2.3.0, 2.4.1. For instance: %pin torch==2.3.0")
    other = "Or on another Python: %pin torch==1.5.0 --python 3.8" if MINOR > 8 else ""
    assert failed.details == other


def test_a_version_that_does_not_exist_is_said(index: Index) -> None:
    """What no index has is called so, beside a version that can be had."""
    index.add("demo", "demo-1.0-py3-none-any.whl", "demo-2.0.tar.gz")
    failed = index.explain("demo==9")
    assert failed.message == "demo has no version ==9."
    assert failed.hint == f"For {PYTHON} there is: 1.0, 2.0. For instance: %pin demo==2.0"


def test_a_package_that_does_not_exist_is_said(index: Index) -> None:
    """An unknown name is a matter of spelling, and says where it was looked for."""
    index.add("demo", "demo-1.0-py3-none-any.whl")
    failed = index.explain("demo", "Nosuch_Thing==1")
    assert failed.message == "There is no package Nosuch_Thing on 127.0.0.1."
    assert failed.hint == "Check the spelling."
    assert [request.path for request in index.requests] == [
        "/simple/demo/",
        "/simple/nosuch-thing/",
    ]


def test_an_index_that_cannot_be_reached_is_said(closed: str) -> None:
    """Where nobody answers, nothing is claimed about packages."""
    failed = explain(["torch==1.5.0"], PipSettings({"index-url": closed}), [])
    assert failed.message == (
        "The package index 127.0.0.1 cannot be reached; nothing was installed."
    )
    assert "index-url" in failed.hint
    with pytest.raises(Unreachable):
        files_of("torch", PipSettings({"index-url": closed}))


@pytest.mark.parametrize("status", [401, 500, 503])
def test_an_index_that_refuses_to_say_is_not_believed(index: Index, status: int) -> None:
    """A server that fails, or wants a password, has not said that there is no such package."""
    index.status["demo"] = status
    assert "cannot be reached" in index.explain("demo==1").message


@pytest.mark.parametrize("status", [403, 404])
def test_an_index_that_has_no_page_has_no_package(index: Index, status: int) -> None:
    """Plain file servers, some with 403, say in this way that there is nothing."""
    index.status["demo"] = status
    assert "There is no package demo" in index.explain("demo==1").message


def test_one_of_two_indexes_is_enough(index: Index, closed: str) -> None:
    """With an index that is away, the answer of the other one still counts."""
    index.add("demo", "demo-1.0-py3-none-any.whl")
    settings = PipSettings({"index-url": closed, "extra-index-url": index.url})
    assert explain(["demo==2"], settings, []).message == "demo has no version ==2."


def test_a_wheel_for_other_machines_is_said(index: Index) -> None:
    """Where the Python is right and the system is not, the system is what is named."""
    index.add("demo", f"demo-1.0-cp3{MINOR}-cp3{MINOR}-macosx_99_0_ppc.whl")
    failed = index.explain("demo==1.0")
    assert failed.message == "demo 1.0 has no build for this machine."
    assert failed.hint == f"No version of demo has a build for {PYTHON} on this machine."


@pytest.mark.parametrize(
    ("python", "only"),
    [("<3.6", " (only 3.3-3.5)"), (">=3.20", " (only 3.20+)"), ("~=2.7", ""), ("==3.4.*", None)],
)
def test_what_a_file_requires_of_python_counts(
    index: Index, python: str, only: Optional[str]
) -> None:
    """``requires-python`` shuts a file out, of either kind of page, and its range is named."""
    index.add("demo", "demo-1.0.tar.gz", python=python)
    if only is None:
        only = " (only 3.4)"
    assert index.explain("demo").message == f"demo 1.0 has no build for {PYTHON}{only}."


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ("demo-1.0-py3-none-any.whl", True),
        ("demo-1.0-py2.py3-none-any.whl", True),
        ("demo-1.0.tar.gz", True),
        ("demo-1.0.zip", True),
        ("demo-1.0-cp34-abi3-any.whl", False),
        ("demo-1.0-py2-none-any.whl", False),
        (f"demo-1.0-cp3{MINOR + 1}-none-any.whl", False),
        (f"demo-1.0-cp3{MINOR}-none-any.whl", True),
    ],
)
def test_which_files_can_be_used_here(index: Index, file: str, fits: bool) -> None:
    """Wheels are judged by their tags, as installers do; a source can be tried everywhere."""
    index.add("demo", file)
    (found,) = files_of("demo", PipSettings({"index-url": index.url}))
    assert (found.version, found.fits) == (Version("1.0"), fits)


def test_what_is_no_release_is_passed_over(index: Index) -> None:
    """Withdrawn files, installers for Windows and names that say no version are no versions."""
    index.add("demo", "demo-2.0-py3-none-any.whl", gone=True)
    index.add("demo", "demo-1.0.win32.exe", "demo-1.0-py3-none-any.whl.metadata", "demo.tar.gz")
    index.add("demo", "other-stuff", "demo-1.1-broken.whl")
    index.add("demo", "demo-1.2.tar.gz", python="nonsense")
    index.add("demo", "demo-1.0.tar.gz")
    found = files_of("demo", PipSettings({"index-url": index.url}))
    assert [str(file.version) for file in found] == ["1.0"]


def test_many_versions_are_shortened(index: Index) -> None:
    """The first two and the last four are enough to choose from."""
    index.add("demo", *(f"demo-{i}.0-py3-none-any.whl" for i in range(20)))
    assert "there is: 0.0, 1.0, ..., 16.0, 17.0, 18.0, 19.0." in index.explain("demo==99").hint


def test_requirements_that_are_there_give_the_reason_of_the_installer(index: Index) -> None:
    """Where each of them could be had alone, the installer's own words are what is left."""
    index.add("demo", "demo-1.0-py3-none-any.whl")
    failed = index.explain("demo==1.0", "other @ git+https://example.invalid/x")
    assert failed.message.startswith("Not installed: ") and "said so" in failed.message
    assert len(index.requests) == 1  # what has a URL of its own is on no index


@pytest.mark.parametrize("form", ["{}", "file://{}", "/nowhere/at/all {}"])
def test_a_folder_of_wheels_is_looked_into(tmp_path: Path, form: str) -> None:
    """What a folder has is no missing package; what it lacks, or has in another version, is."""
    for file in ("demo-1.0-py3-none-any.whl", "demo-stuff-2.0.tar.gz", "readme.txt"):
        (tmp_path / file).touch()
    settings = PipSettings({"no-index": "1", "find-links": form.format(tmp_path)})
    failed = explain(["demo==1.0"], settings, ["error: cannot remove it: it is full"])
    assert failed.message == "Not installed: cannot remove it: it is full"
    assert explain(["demo==2"], settings, []).message == "demo has no version ==2."
    assert explain(["dem"], settings, []).message == "There is no package dem on the folders given."


def test_pages_of_links_are_not_judged(tmp_path: Path) -> None:
    """Only the installer has read them: its reason is given, and nothing claimed."""
    settings = PipSettings({"no-index": "1", "find-links": f"https://x.invalid/a {tmp_path}"})
    failed = explain(["demo"], settings, ["error: said so"])
    assert failed.message == "Not installed: said so"


def test_a_password_goes_to_the_index_only(index: Index) -> None:
    """The user and password of an index are sent to it, and stand in no message."""
    settings = PipSettings({"index-url": index.url.replace("//", "//me:hunter2@")})
    failed = explain(["demo==1"], settings, [])
    token = base64.b64encode(b"me:hunter2").decode()
    assert index.requests[0].authorization == f"Basic {token}"
    assert failed.message == "There is no package demo on 127.0.0.1."
    assert "hunter2" not in repr((failed.message, failed.hint, failed.details))


def test_the_proxy_of_pip_is_asked(index: Index) -> None:
    """Behind a proxy that only pip knows of, the index is reached as pip reaches it."""
    index.add("demo", "demo-1.0-py3-none-any.whl")
    settings = {"index-url": "http://pypi.invalid/simple", "proxy": index.url[: -len("/simple")]}
    failed = explain(["demo==2"], PipSettings(settings), [])
    assert failed.message == "demo has no version ==2."
    assert index.requests[0].path == "http://pypi.invalid/simple/demo/"


def test_both_kinds_of_page_are_asked_for(index: Index) -> None:
    """JSON is preferred, and HTML taken where it is all that there is (PEP 691)."""
    index.explain("demo")
    assert index.requests[0].accept.startswith("application/vnd.pypi.simple.v1+json")
    assert "text/html" in index.requests[0].accept


@given(st.sets(st.integers(3, 29)))
def test_ranges_of_pythons_name_each_and_no_other(minors: Set[int]) -> None:
    """What is written ``3.5-3.8, 3.10+`` is read back as the same versions."""
    read = set()
    for part in filter(None, explain_module._ranges(minors).split(", ")):
        first, _, last = part.partition("-")
        low = int(first.rstrip("+").split(".")[1])
        high = 29 if part.endswith("+") else int((last or first).split(".")[1])
        read |= set(range(low, high + 1))
    assert read == minors
