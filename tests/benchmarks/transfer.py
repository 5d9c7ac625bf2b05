"""Uploads to a Google Drive on loopback, beside rclone and Google's own client, in the same run.

``python tests/benchmarks/transfer.py`` prints seconds (medians of three) and the most memory of
each program, its start included: 256 MB in one file, 2,000 files of 10 kB each alone, 300 files in
a folder each, and the 2,000 as one packed stream beside the bare ``tar``. ``--delay 0.1``: each
request takes that longer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from timing import record

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

#: Ours: paths of this machine, then the target; ``--pack`` first for one stream.
_OURS = """
import sys
from support.drive_client import Client
url, token, jobs, *paths = sys.argv[1:]
client = Client(url, lambda fresh: token, int(jobs))
if paths[0] == "--pack":
    from colab_magics.drive.transfer.local import LocalStore
    from colab_magics.drive.transfer.pack import Pack
    pack = Pack(LocalStore().stat(paths[1]))
    paths = [(pack.name, pack), paths[2]]
result = client.copy(*paths)
assert result.copied and not result.same, result
"""
#: Google's client, into a new folder as the others: one file, or those of a folder by eight
#: threads, each with a client.
_OFFICIAL = """
import json, sys, threading, queue
from pathlib import Path
import google.oauth2.credentials, google_auth_httplib2, googleapiclient, httplib2
from googleapiclient.discovery import build_from_document
from googleapiclient.http import MediaFileUpload
url, cert, token, source = sys.argv[1:]
place = Path(googleapiclient.__file__).parent / "discovery_cache/documents/drive.v3.json"
document = json.loads(place.read_text())
document["rootUrl"] = url + "/"
document.pop("mtlsRootUrl", None)
paths = queue.Queue()
files = [Path(source)] if Path(source).is_file() else [*Path(source).iterdir()]
for path in files:
    paths.put(path)
def connect():
    http = httplib2.Http(ca_certs=cert, proxy_info=None)
    http.redirect_codes -= {308}
    credentials = google.oauth2.credentials.Credentials(token)
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=http)
    return build_from_document(document, http=http)
first = connect()
folder = {"name": "official", "mimeType": "application/vnd.google-apps.folder"}
parent = first.files().create(body=folder, fields="id").execute()["id"]
clients = [first]
def work():
    service = clients.pop() if len(files) == 1 else connect()
    while True:
        try:
            path = paths.get_nowait()
        except queue.Empty:
            return
        large = path.stat().st_size > 5e6
        media = MediaFileUpload(str(path), "application/octet-stream", 256 << 20, resumable=large)
        body = {"name": path.name, "parents": [parent]}
        service.files().create(body=body, media_body=media).execute()
threads = [threading.Thread(target=work) for _ in range(8 if len(files) > 1 else 1)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


class Server:
    """The double in a process of its own, over TLS, which all three want."""

    def __init__(self, folder: Path, delay: float) -> None:
        from doubles.certificate import self_signed

        hosts = ("www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com")
        self.cert, key = self_signed(folder, *hosts)
        command = [sys.executable, "-m", "doubles.google_drive", "--delay", str(delay)]
        self._process = subprocess.Popen(
            [*command, "--certificate", str(self.cert), str(key)],
            cwd=str(TESTS),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        answer = self._read()
        self.url, self.proxy, self.token = answer["url"], answer["proxy"], answer["token"]

    def count(self) -> Dict[str, Any]:
        """How much there is."""
        assert self._process.stdin is not None
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End it."""
        self._process.communicate()

    def _read(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        answer: Dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def measure(command: List[str], variables: Dict[str, str], folder: Path) -> Tuple[float, float]:
    """Seconds and megabytes of a program that must succeed."""
    log = folder / "log"
    started = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=variables, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = status
    assert status == 0, log.read_text()
    return seconds, usage.ru_maxrss / 1024


def median_of(
    rounds: int, name: str, run: Callable[[int], Tuple[float, float]]
) -> Tuple[float, float]:
    """Print the medians of some rounds, seconds and megabytes, and return them."""
    runs = [run(at) for at in range(rounds)]
    seconds, memory = (statistics.median(column) for column in zip(*runs))
    print(f"  {name:34} {seconds:6.2f} s  {memory:5.0f} MB", flush=True)
    return seconds, memory


def note(title: str, ours: Tuple[float, float], peers: Dict[str, Tuple[float, float]]) -> None:
    """Note the rows of `table`."""
    for at, unit in enumerate(("s", "MB")):
        record(title, unit, ours[at], {name: both[at] for name, both in peers.items()})


def main() -> None:
    """One large file, then many small ones."""
    options = argparse.ArgumentParser()
    options.add_argument("--delay", type=float, default=0.0)
    options.add_argument("--jobs", type=int, default=8)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder, chosen.delay)
        try:
            compare(server, folder, chosen.jobs, chosen.delay, chosen.rounds)
        finally:
            server.close()
    print()


def compare(server: Server, folder: Path, jobs: int, delay: float, rounds: int) -> None:
    """Print what each program takes."""
    tell = partial(median_of, rounds)
    large, many = folder / "large", folder / "many"
    with large.open("wb") as stream:
        for _ in range(256):
            stream.write(os.urandom(10**6))
    many.mkdir()
    for at in range(2000):
        (many / str(at)).write_bytes(os.urandom(10_000))
    tree = folder / "tree"
    for at in range(300):
        place = tree / str(at % 10) / str(at)
        place.mkdir(parents=True)
        (place / "file").write_bytes(os.urandom(10_000))
    variables = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
    variables.update(REQUESTS_CA_BUNDLE=str(server.cert), XDG_STATE_HOME=str(folder / "state"))

    def ours(*paths: str) -> Callable[[int], Tuple[float, float]]:
        command = [sys.executable, "-c", _OURS, server.url, server.token, str(jobs)]
        names = [paths[-1] + ("large" if paths[0] == str(large) else "")]
        return lambda at: measure(
            [*command, *paths[:-1], f"drive:{names[0]}-{at}/"], variables, folder
        )

    def official(source: Path) -> Callable[[int], Tuple[float, float]]:
        words = [server.url, str(server.cert), server.token, str(source)]
        return lambda at: measure([sys.executable, "-c", _OFFICIAL, *words], variables, folder)

    has_official = not subprocess.run(
        [sys.executable, "-c", "import googleapiclient"], capture_output=True
    ).returncode
    rclone = Rclone(server, folder)
    cases = ("256 MB", large), ("2,000 files of 10 kB", many), ("300 folders of a file", tree)
    for title, source in cases:
        print(title)
        subject = f"to the drive: {title}" + (f", {delay:g} s for each request" if delay else "")
        mine = tell("colab_magics", ours(str(source), "ours"))
        peers = {"rclone": tell("rclone, pacer off", lambda at, of=source: rclone.run(of, at))}
        if has_official and source != tree:
            client = "google-api-python-client"
            peers[client] = tell(client, official(source))
        note(subject, mine, peers)
    print("2,000 files of 10 kB as one")
    packed = tell("colab_magics --pack", ours("--pack", str(many), "packed"))
    tar = shutil.which("tar")
    assert tar is not None
    command = [tar, "-cf", str(folder / "bare.tar"), "-C", str(folder), "many"]
    tell("tar, to the disk", lambda at: measure(command, variables, folder))
    bare = str(folder / "bare.tar")
    sent = tell("colab_magics, that tar", ours(bare, "tar"))
    if not delay:
        record("to the drive: the 2,000 by --pack", "s", packed[0], {"that tar alone": sent[0]})
    print(f"  {server.count()['files']} files in the end")


class Rclone:
    """rclone with a token that does not end, led to the double."""

    def __init__(self, server: Server, folder: Path) -> None:
        from doubles import far
        from doubles.google_drive import CLIENT_ID, CLIENT_SECRET

        token = {"access_token": server.token, "token_type": "Bearer", "refresh_token": "r"}
        token["expiry"] = "2099-01-01T00:00:00Z"
        remote = {"type": "drive", "scope": "drive", "token": json.dumps(token)}
        remote.update(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        far.configure(folder / "rclone.conf", fake=remote)
        self._program = [*far.programs().values()][-1]
        self._folder, self._cert = folder, server.cert
        self._variables = {**os.environ, "HTTPS_PROXY": server.proxy}
        self._variables.pop("NO_PROXY", None)
        self._variables.pop("no_proxy", None)

    def run(self, source: Path, at: int) -> Tuple[float, float]:
        """Copy a file or a folder, eight at once, in chunks as large as ours."""
        command = [self._program, "--config", str(self._folder / "rclone.conf")]
        command += ["--ca-cert", str(self._cert), "--drive-pacer-min-sleep", "0"]
        command += ["--transfers", "8", "--drive-chunk-size", "256M", "copy"]
        target = f"fake:rclone-{source.name}-{at}"
        return measure([*command, str(source), target], self._variables, self._folder)


if __name__ == "__main__":
    main()
