"""The double of Google Drive, judged by rclone and by Google's own client for Python.

And our client by rclone: each agrees with what the other has put there.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from doubles import far
from doubles.certificate import self_signed
from doubles.google_drive import (
    CLIENT_ID,
    CLIENT_SECRET,
    QUANTUM,
    SHEET,
    TOKEN,
    GoogleDrive,
    cut,
    forbidden,
    partial,
    unavailable,
)
from support.drive_client import Client

pytestmark = pytest.mark.once

HOSTS = ("www.googleapis.com", "oauth2.googleapis.com", "accounts.google.com")
#: Names that a query has to quote, and that are no ASCII.
TREE = {
    "it's \\ here/a b.txt": b"quoted",
    "it's \\ here/deep/er/empty": b"",
    "Zürich/数据.bin": os.urandom(3 * QUANTUM),
    "large.bin": os.urandom(3 * QUANTUM) * 12 + b"end",
}


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[GoogleDrive]:
    """Over TLS, as both clients want it."""
    with GoogleDrive(self_signed(tmp_path, *HOSTS)) as made:
        yield made


class Rclone:
    """A real rclone that takes the double for Google."""

    def __init__(self, drive: GoogleDrive, folder: Path) -> None:
        programs = far.programs()
        if not programs:
            pytest.skip("rclone is not installed")
        self.program, self.drive, self.folder = [*programs.values()][-1], drive, folder
        token = {"access_token": TOKEN, "token_type": "Bearer", "refresh_token": "r"}
        token["expiry"] = "2099-01-01T00:00:00Z"
        remote = {"type": "drive", "scope": "drive", "token": json.dumps(token)}
        remote.update(client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
        far.configure(folder / "rclone.conf", fake=remote)

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run it; without waits between requests."""
        command = [self.program, "--config", str(self.folder / "rclone.conf")]
        command += ["--ca-cert", str(self.folder / "cert"), "--drive-pacer-min-sleep", "0"]
        command += ["--retries", "1", "--low-level-retries", "20", "--drive-chunk-size", "4M"]
        variables = {**os.environ, "HTTPS_PROXY": self.drive.proxy.url}
        variables.pop("NO_PROXY", None)
        variables.pop("no_proxy", None)
        done = subprocess.run(
            [*command, *words], env=variables, capture_output=True, text=True, timeout=60
        )
        assert not check or done.returncode == 0, done.stderr
        return done


@pytest.fixture
def rclone(drive: GoogleDrive, tmp_path: Path) -> Rclone:
    """It reaches nothing else."""
    return Rclone(drive, tmp_path)


@pytest.fixture
def client(drive: GoogleDrive, tmp_path: Path) -> Any:
    """Google's own client, from the description of the interface that it ships with."""
    pytest.importorskip("googleapiclient", reason="elsewhere: for Python 3.10 and later")
    import google.oauth2.credentials
    import google_auth_httplib2
    import googleapiclient
    import httplib2
    from googleapiclient.discovery import build_from_document

    place = Path(googleapiclient.__file__).parent / "discovery_cache/documents/drive.v3.json"
    document = json.loads(place.read_text())
    document["rootUrl"] = drive.url + "/"
    document.pop("mtlsRootUrl", None)
    http = httplib2.Http(ca_certs=str(tmp_path / "cert"), proxy_info=None)
    http.redirect_codes -= {308}  # as its own `build_http` does
    token = google.oauth2.credentials.Credentials(TOKEN)
    authorized = google_auth_httplib2.AuthorizedHttp(token, http=http)
    return build_from_document(document, http=authorized)


def write(folder: Path, tree: Dict[str, bytes]) -> Path:
    """Put files into a folder."""
    for name, data in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def read(folder: Path) -> Dict[str, bytes]:
    """The files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_rclone_uploads_and_downloads(rclone: Rclone, drive: GoogleDrive, tmp_path: Path) -> None:
    """What rclone sends is there, byte for byte, and comes back; nobody else was asked."""
    source = write(tmp_path / "source", TREE)
    rclone("copy", str(source), "fake:data")
    assert drive.tree(*drive.find("data")) == TREE
    rclone("check", "--download", str(source), "fake:data")
    rclone("copy", "fake:data", str(tmp_path / "back"))
    assert read(tmp_path / "back") == TREE
    (session,) = drive.sessions
    assert session.accepted == len(TREE["large.bin"])
    assert drive.count("chunk") == 3
    assert not session.misaligned
    assert {host.split(":")[0] for host in drive.proxy.hosts} <= {*HOSTS}


#: Names that programs read in their own ways. Not among them: a wide slash (U+FF0F), which rclone
#: takes for a slash, and two names that are one once they are normalized, as it does.
ODD = (
    " in front, behind ",
    'it\'s "so" \\ here',
    "~",
    "-rf",
    "#1%2F?x=*[a]{b}",
    "a:b|c<d>e;f`g$h&i!",
    "Zu\u0308rich",
    "\u6570\u636e \U0001f600",
    "\uff0a\u2025",
    "trailing.",
    ".hidden",
    "CON",
    "x" * 250,
)


def odd_tree() -> Dict[str, bytes]:
    """Files and folders of these names, and a file that is sent in a session."""
    small = {f"{name}/{other}": name.encode() for name, other in zip(ODD, ODD[1:])}
    return {**small, "large.bin": TREE["large.bin"] * 2, "none": b""}


@pytest.fixture
def ours(drive: GoogleDrive, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Our own client."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "cert"))
    return Client(drive.url, lambda fresh: TOKEN)


def test_rclone_agrees_with_what_we_push(
    rclone: Rclone, drive: GoogleDrive, ours: Client, tmp_path: Path
) -> None:
    """Byte by byte, whatever the names; and what it then gets is what we have."""
    source = write(tmp_path / "source", odd_tree())
    assert ours.copy(f"{source}/", "drive:data").copied == len(odd_tree())
    rclone("check", "--download", str(source), "fake:data")
    rclone("copy", "fake:data", str(tmp_path / "back"))
    assert read(tmp_path / "back") == odd_tree()
    drive.files.update(drive.find("none")[0], {}, drive.files.store(b"other"))
    assert rclone("check", "--download", str(source), "fake:data", check=False).returncode


def test_we_agree_with_what_rclone_puts_there(
    rclone: Rclone, drive: GoogleDrive, ours: Client, tmp_path: Path
) -> None:
    """Our pull gets the same bytes under the same names, and our push has nothing to send."""
    source = write(tmp_path / "source", odd_tree())
    rclone("copy", str(source), "fake:data")
    assert ours.copy("drive:data/", str(tmp_path / "back")).copied == len(odd_tree())
    assert read(tmp_path / "back") == odd_tree()
    drive.reset()
    assert ours.copy(f"{source}/", "drive:data").same == len(odd_tree())
    assert drive.count() == drive.count("list")
    rclone("check", "--download", str(tmp_path / "back"), "fake:data")


def test_rclone_sees_what_differs(rclone: Rclone, drive: GoogleDrive, tmp_path: Path) -> None:
    """The judge can say no: a byte that differs, and a file that is missing."""
    source = write(tmp_path / "source", {"a": b"same", "b": b"this"})
    drive.add_file("a", b"same")
    assert rclone("check", "--download", str(source), "fake:", check=False).returncode
    drive.add_file("b", b"that")
    assert rclone("check", "--download", str(source), "fake:", check=False).returncode
    assert rclone("check", str(source), "fake:", check=False).returncode


def test_rclone_lists_what_is_no_file(rclone: Rclone, drive: GoogleDrive, tmp_path: Path) -> None:
    """Documents have no size and are exported, shortcuts lead on, the trash is not shown."""
    folder = drive.add_folder("folder")
    drive.add_file("gone", b"", folder, trashed=True)
    drive.add_document("letter", {"text/plain": b"Dear all"}, folder)
    drive.add_shortcut("link", drive.add_file("aim", b"arrow"), folder)
    listed = json.loads(rclone("lsjson", "--drive-export-formats", "txt", "fake:folder").stdout)
    assert {(entry["Name"], entry["Size"]) for entry in listed} == {("letter.txt", -1), ("link", 5)}
    rclone("copy", "--drive-export-formats", "txt", "fake:folder", str(tmp_path / "back"))
    assert read(tmp_path / "back") == {"letter.txt": b"Dear all", "link": b"arrow"}


def test_rclone_lists_many(rclone: Rclone, drive: GoogleDrive) -> None:
    """A list of several pages has each file once."""
    names = {drive.meta(drive.add_file(f"{number}"))["name"] for number in range(2100)}
    listed = rclone("lsf", "fake:").stdout.split()
    assert len(listed) == len(names) and {*listed} == names
    assert drive.count("list") >= 3


def test_rclone_changes_and_deletes(rclone: Rclone, drive: GoogleDrive, tmp_path: Path) -> None:
    """A newer file keeps its id; moved, copied and purged ones are where they belong."""
    source = write(tmp_path / "source", {"a": b"old"})
    rclone("copy", str(source), "fake:data")
    (file_id,) = drive.find("a")
    (source / "a").write_bytes(b"new and longer")
    rclone("copy", str(source), "fake:data")
    assert drive.find("a") == [file_id] and drive.read(file_id) == b"new and longer"
    rclone("moveto", "fake:data/a", "fake:other/b")
    assert drive.find("b", *drive.find("other")) == [file_id]
    rclone("copyto", "fake:other/b", "fake:other/c")
    assert drive.read(*drive.find("c")) == b"new and longer"
    rclone("purge", "--drive-use-trash=false", "fake:other")
    rclone("rmdir", "fake:data")
    assert drive.tree() == {}
    quota = json.loads(rclone("about", "--json", "fake:").stdout)
    assert quota["used"] == 0


def test_rclone_retries(rclone: Rclone, drive: GoogleDrive, tmp_path: Path) -> None:
    """Faults are such as a real client knows: it goes on, and all is there once."""
    source = write(tmp_path / "source", TREE)
    drive.faults.plan(unavailable(), "list")
    drive.faults.plan(unavailable(), "chunk", skip=1)
    drive.faults.plan(forbidden("userRateLimitExceeded"), "multipart")
    drive.faults.plan(forbidden("rateLimitExceeded"), "create")
    drive.faults.plan(cut(QUANTUM), "media")
    rclone("copy", str(source), "fake:data")
    rclone("check", "--download", str(source), "fake:data")
    assert drive.faults.pending == 0
    assert drive.tree(*drive.find("data")) == TREE


def test_the_official_client_uploads_and_downloads(
    client: Any, drive: GoogleDrive, rclone: Rclone, tmp_path: Path
) -> None:
    """Google's client and rclone agree on what the first has put there."""
    from googleapiclient.http import MediaIoBaseDownload, MediaIoBaseUpload

    folder = {"name": "data", "mimeType": "application/vnd.google-apps.folder"}
    parent = client.files().create(body=folder, fields="id").execute()["id"]
    files = {"large": TREE["large.bin"], "small": b"few", "empty": b""}
    drive.faults.plan(partial(QUANTUM), "chunk")
    for name, data in files.items():
        resumable = name == "large"
        media = MediaIoBaseUpload(
            io.BytesIO(data), "application/octet-stream", 4 * QUANTUM, resumable
        )
        body = {"name": name, "parents": [parent]}
        request = client.files().create(body=body, media_body=media, fields="id,size,md5Checksum")
        assert int(request.execute(num_retries=3)["size"]) == len(data)
    assert drive.tree(parent) == files and drive.faults.pending == 0
    rclone("check", "--download", str(write(tmp_path / "source", files)), "fake:data")
    target = io.BytesIO()
    request = client.files().get_media(fileId=drive.find("large")[0])
    download, done = MediaIoBaseDownload(target, request, chunksize=QUANTUM), False
    while not done:
        _, done = download.next_chunk()
    assert target.getvalue() == files["large"]


def test_the_official_client_agrees_with_what_we_push(
    client: Any, drive: GoogleDrive, ours: Client, tmp_path: Path
) -> None:
    """It lists and downloads the same bytes, whatever the names; and we pull what it has sent."""
    from googleapiclient.http import MediaIoBaseUpload

    tree = {name: name.encode() for name in ODD}
    tree["large"] = TREE["large.bin"]
    source = write(tmp_path / "source", tree)
    assert ours.copy(f"{source}/", "drive:data").copied == len(tree)
    (folder,) = client.files().list(q="name = 'data'").execute()["files"]
    request, seen = client.files().list(pageSize=5, q=f"'{folder['id']}' in parents"), {}
    while request is not None:
        answer = request.execute()
        for file in answer["files"]:
            seen[file["name"]] = client.files().get_media(fileId=file["id"]).execute()
        request = client.files().list_next(request, answer)
    assert seen == tree
    for name, data in tree.items():
        media = MediaIoBaseUpload(io.BytesIO(data), "text/plain", resumable=name == "large")
        body = {"name": f"{name[:200]} again", "parents": [folder["id"]]}
        client.files().create(body=body, media_body=media).execute()
    ours.copy("drive:data/", str(tmp_path / "back"))
    assert read(tmp_path / "back") == {**tree, **{f"{x[:200]} again": tree[x] for x in tree}}


def test_the_official_client_exports(client: Any, drive: GoogleDrive) -> None:
    """A document in a format that it has, at once and as a stream; another format is refused."""
    from googleapiclient.errors import HttpError
    from googleapiclient.http import MediaIoBaseDownload

    table = drive.add_document("table", {"text/csv": b"1,2"}, kind=SHEET)
    answer = client.files().get(fileId=table, fields="mimeType,size,exportLinks").execute()
    assert answer.keys() == {"mimeType", "exportLinks"}
    wanted = {"fileId": table, "mimeType": "text/csv"}
    assert client.files().export(**wanted).execute() == b"1,2"
    target = io.BytesIO()
    download = MediaIoBaseDownload(target, client.files().export_media(**wanted))
    assert download.next_chunk()[1] and target.getvalue() == b"1,2"
    formats = client.about().get(fields="exportFormats").execute()["exportFormats"]
    assert "text/csv" in formats[answer["mimeType"]]
    with pytest.raises(HttpError) as refused:
        client.files().export(fileId=table, mimeType="text/plain").execute()
    assert refused.value.status_code == 400


def test_the_official_client_lists_and_follows_changes(client: Any, drive: GoogleDrive) -> None:
    """Pages, queries, reserved ids and changes are as Google's client reads them."""
    from googleapiclient.errors import HttpError

    token = client.changes().getStartPageToken().execute()["startPageToken"]
    file_id, other = client.files().generateIds(count=2).execute()["ids"]
    assert file_id != other
    client.files().create(body={"id": file_id, "name": "it's"}).execute()
    with pytest.raises(HttpError) as refused:
        client.files().create(body={"id": file_id, "name": "it's"}).execute()
    assert refused.value.status_code == 409
    for number in range(5):
        drive.add_file(f"{number}")
    request, names = client.files().list(pageSize=2, q="'root' in parents"), []
    while request is not None:
        answer = request.execute()
        names += [file["name"] for file in answer["files"]]
        request = client.files().list_next(request, answer)
    assert names == ["it's", "0", "1", "2", "3", "4"]
    quoted = client.files().list(q="name = 'it\\'s' and trashed = false").execute()
    assert [file["id"] for file in quoted["files"]] == [file_id]
    client.files().delete(fileId=file_id).execute()
    changes = client.changes().list(pageToken=token).execute()
    assert changes["newStartPageToken"]
    assert [change["fileId"] for change in changes["changes"] if change["removed"]] == [file_id]
    assert len(changes["changes"]) == 6
