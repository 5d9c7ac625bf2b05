"""A package index on loopback, with tiny wheels that are real: no test needs the network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
import zipfile
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Optional[Mapping[str, str]] = None,
    requires: Iterable[str] = (),
    requires_python: Optional[str] = None,
    tag: str = "py3-none-any",
) -> Path:
    """Write a wheel of a few lines; without `files`, a package that knows its version."""
    module = re.sub(r"[-_.]+", "_", name).lower()
    stem = f"{module}-{version}"
    info = f"{stem}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {one}" for one in requires]
    if requires_python:
        metadata.append(f"Requires-Python: {requires_python}")
    wheel = ["Wheel-Version: 1.0", "Generator: colab_magics tests", "Root-Is-Purelib: true"]
    members = dict(files or {f"{module}/__init__.py": f"__version__ = {version!r}\n"})
    members[f"{info}/METADATA"] = "\n".join(metadata) + "\n"
    members[f"{info}/WHEEL"] = "\n".join([*wheel, f"Tag: {tag}"]) + "\n"
    record = [_recorded(path, text) for path, text in members.items()]
    members[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, text in members.items():
            archive.writestr(path, text)
    return target


#: The backend of an sdist: it needs no other, and says in a file that it was called.
_BACKEND = """\
import pathlib, shutil

def build_wheel(folder, settings=None, metadata=None):
    pathlib.Path({built!r}).touch()
    (wheel,) = pathlib.Path(__file__).parent.glob("*.whl")
    shutil.copy(wheel, folder)
    return wheel.name

build_editable = build_wheel
"""


def make_sdist(folder: Path, name: str, version: str, built: Path) -> Path:
    """Write an sdist that makes the same wheel as `make_wheel`, and the file ``built``."""
    stem = f"{re.sub(r'[-_.]+', '_', name).lower()}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = make_wheel(folder / "sources" / stem, name, version)
    system = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]'
    members = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        "pyproject.toml": f"[build-system]\n{system}\n".encode(),
        "backend.py": _BACKEND.format(built=str(built)).encode(),
        wheel.name: wheel.read_bytes(),
    }
    target = folder / f"{stem}.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        for path, data in members.items():
            entry = tarfile.TarInfo(f"{stem}/{path}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder of wheels by PEP 503, as it is at each request; give the index URL."""
    handler = type("Handler", (_Handler,), {"folder": folder})
    server = IndexServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class IndexServer(ThreadingHTTPServer):
    """uv connects some fifty times at once; those that find no room wait for seconds."""

    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    """`/simple/` and `/simple/NAME/`; the wheels themselves lie under `/files/`."""

    folder: Path
    #: Whether it answers in JSON, with the sizes of the files (PEP 700).
    sizes = False
    #: Version → the day when it was uploaded, which is answered in JSON (PEP 700); without any,
    #: nothing is said of that.
    uploads: Mapping[str, str] = {}

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        kind, content = self._find()
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if body:
            self.wfile.write(content or b"")

    def _find(self) -> tuple[str, Optional[bytes]]:
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[0] == "files" and len(parts) == 2 and (self.folder / parts[1]).is_file():
            return "application/octet-stream", (self.folder / parts[1]).read_bytes()
        projects = self._projects()
        if parts == ["simple"]:
            return _page(f'<a href="/simple/{name}/">{name}</a>' for name in projects)
        if (self.sizes or self.uploads) and parts[0] == "simple" and parts[-1] in projects:
            return _listed(parts[1], projects[parts[1]], self.uploads)
        if parts[0] == "simple" and len(parts) == 2 and parts[1] in projects:
            return _page(_link(wheel) for wheel in projects[parts[1]])
        return "text/plain", None

    def _projects(self) -> Dict[str, List[Path]]:
        projects: Dict[str, List[Path]] = {}
        for file in sorted([*self.folder.glob("*.whl"), *self.folder.glob("*.tar.gz")]):
            projects.setdefault(file.name.split("-")[0].replace("_", "-"), []).append(file)
        return projects

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a test's output is its own."""


def _recorded(path: str, text: str) -> str:
    data = text.encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}"


def _page(links: Iterable[str]) -> tuple[str, bytes]:
    return "text/html", (
        "<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>"
    ).encode()


def _listed(name: str, wheels: Iterable[Path], uploads: Mapping[str, str]) -> tuple[str, bytes]:
    files: List[Dict[str, Any]] = [
        {
            "filename": wheel.name,
            "url": f"/files/{wheel.name}",
            "hashes": {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()},
            "size": wheel.stat().st_size,
        }
        for wheel in wheels
    ]
    for file in files:
        version = file["filename"].split("-")[1].partition(".tar")[0]
        if version in uploads:
            file["upload-time"] = f"{uploads[version]}T12:00:00Z"
    page = {"meta": {"api-version": "1.1"}, "name": name, "files": files}
    return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()


def _link(wheel: Path) -> str:
    lines: List[str] = []
    if wheel.suffix == ".whl":
        with zipfile.ZipFile(wheel) as archive:
            name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
            lines = archive.read(name).decode().splitlines()
    wanted = [one.split(": ", 1)[1] for one in lines if one.startswith("Requires-Python: ")]
    python = f' data-requires-python="{escape(wanted[0])}"' if wanted else ""
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f'<a href="/files/{wheel.name}#sha256={digest}"{python}>{wheel.name}</a>'
