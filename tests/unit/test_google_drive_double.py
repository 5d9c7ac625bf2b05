"""The double of Google Drive where no real client can judge it: what fails, and how."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

import pytest
import requests
from doubles.google_drive import (
    FOLDER,
    QUANTUM,
    TOKEN,
    Fault,
    GoogleDrive,
    corrupt,
    cut,
    forbidden,
    lost_reply,
    partial,
    session_expired,
    too_many,
    unavailable,
)

pytestmark = pytest.mark.once

FILES, UPLOAD = "/drive/v3/files", "/upload/drive/v3/files"


class Client:
    """Plain requests."""

    def __init__(self, drive: GoogleDrive) -> None:
        self.drive, self.session = drive, requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one."""
        url = path if "://" in path else self.drive.url + path
        return self.session.request(method, url, **options)

    def start(self, **meta: Any) -> str:
        """Begin an upload session; return its address."""
        answer = self("POST", f"{UPLOAD}?uploadType=resumable&fields=id,md5Checksum", json=meta)
        assert answer.status_code == 200
        return answer.headers["Location"]

    def put(self, session: str, start: int, data: bytes, total: object) -> requests.Response:
        """Send a chunk."""
        where = f"bytes {start}-{start + len(data) - 1}/{total}"
        return self("PUT", session, data=data, headers={"Content-Range": where})

    def where(self, session: str) -> str:
        """Where the server wants to go on."""
        answer = self("PUT", session, headers={"Content-Range": "bytes */*"})
        assert answer.status_code == 308
        return answer.headers.get("Range", "")


@pytest.fixture
def drive() -> Iterator[GoogleDrive]:
    """Empty."""
    with GoogleDrive() as made:
        yield made


@pytest.fixture
def send(drive: GoogleDrive) -> Client:
    """One connection to it."""
    return Client(drive)


def reason(answer: requests.Response) -> str:
    """The reason of an error."""
    return str(answer.json()["error"]["errors"][0]["reason"])


def test_a_session_takes_whole_quanta(drive: GoogleDrive, send: Client) -> None:
    """What is beyond a multiple of 256 KiB is not taken but at the end, and is counted."""
    session, data = send.start(name="a"), bytes(3 * QUANTUM + 5)
    assert send.where(session) == ""
    answer = send.put(session, 0, data[: QUANTUM + 9], len(data))
    assert answer.status_code == 308 and answer.headers["Range"] == f"bytes=0-{QUANTUM - 1}"
    drive.faults.plan(partial(QUANTUM + 1), "chunk")
    answer = send.put(session, QUANTUM, data[QUANTUM:], len(data))
    assert answer.headers["Range"] == f"bytes=0-{2 * QUANTUM - 1}"
    gap = send.put(session, 3 * QUANTUM, data[3 * QUANTUM :], len(data))
    assert gap.status_code == 503
    done = send.put(session, QUANTUM, data[QUANTUM:], len(data))  # begins too early
    assert done.status_code == 200
    assert drive.read(done.json()["id"]) == data
    again = send("PUT", session, headers={"Content-Range": f"bytes */{len(data)}"})
    assert again.json() == done.json()
    (upload,) = drive.sessions
    assert upload.misaligned == 1 and upload.received > len(data) == upload.accepted


def test_a_session_is_cut_or_ends(drive: GoogleDrive, send: Client) -> None:
    """What came before a cut stays; of a session that has ended nothing does."""
    session, data = send.start(name="a"), bytes(3 * QUANTUM)
    drive.faults.plan(cut(2 * QUANTUM + 7), "chunk")
    with pytest.raises(requests.ConnectionError):
        send.put(session, 0, data, len(data))
    assert send.where(session) == f"bytes=0-{2 * QUANTUM - 1}"
    for wrong in ("bytes 5-4/9", f"bytes 0-9/{len(data)}", "bits 0-9/10"):
        answer = send("PUT", session, data=data, headers={"Content-Range": wrong})
        assert answer.status_code == 400
    drive.faults.plan(session_expired(410), "chunk")
    assert send.put(session, 2 * QUANTUM, data[2 * QUANTUM :], len(data)).status_code == 410
    assert send.put(session, 0, data, len(data)).status_code == 404
    assert drive.tree() == {} and drive.sessions[0].received > 2 * QUANTUM


def test_a_reply_that_is_lost(drive: GoogleDrive, send: Client) -> None:
    """With an id that was reserved the second try is refused, without one there are two files."""
    for reserved in (True, False):
        (file_id,) = send("GET", f"{FILES}/generateIds?count=1").json()["ids"]
        meta = {"name": f"{reserved}", **({"id": file_id} if reserved else {})}
        drive.faults.plan(lost_reply(), "create")
        with pytest.raises(requests.ConnectionError):
            send("POST", FILES, json=meta)
        assert send("POST", FILES, json=meta).status_code == (409 if reserved else 200)
        assert len(drive.find(f"{reserved}")) == (1 if reserved else 2)
    assert send("POST", FILES, json={"id": "mine", "name": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("fault", "status", "name"),
    [
        (unavailable(), 503, "backendError"),
        (too_many("7"), 429, "rateLimitExceeded"),
        (forbidden("userRateLimitExceeded"), 403, "userRateLimitExceeded"),
    ],
)
def test_a_fault_does_nothing(
    drive: GoogleDrive, send: Client, fault: Fault, status: int, name: str
) -> None:
    """It is answered as often as planned, and what was asked for is not done."""
    drive.faults.plan(fault, "create", times=2, skip=1)
    answers = [send("POST", FILES, json={"name": f"{n}"}) for n in range(4)]
    assert [answer.status_code for answer in answers] == [200, status, status, 200]
    assert reason(answers[1]) == name
    assert answers[1].headers.get("Retry-After") == ("7" if status == 429 else None)
    assert {*drive.tree()} == {"0", "3"} and drive.faults.hits == 2


def test_space_and_tokens_end(drive: GoogleDrive, send: Client) -> None:
    """A full drive refuses a session before its bytes; an old token is refused until it is new."""
    drive.files.limit = 100
    size = {"X-Upload-Content-Length": "101"}
    answer = send("POST", f"{UPLOAD}?uploadType=resumable", json={"name": "a"}, headers=size)
    assert answer.status_code == 403 and reason(answer) == "storageQuotaExceeded"
    assert send("POST", f"{UPLOAD}?uploadType=media", data=bytes(101)).status_code == 403
    assert drive.tree() == {}
    drive.oauth.expire()
    answer = send("GET", FILES)
    assert answer.status_code == 401 and reason(answer) == "authError"
    send.session.headers["Authorization"] = f"Bearer {drive.oauth.issue()}"
    assert send("GET", FILES).status_code == 200


def test_fields_are_sent_when_asked_for(drive: GoogleDrive, send: Client) -> None:
    """Without them a file has four; a name that does not exist is an error, as is a bad query."""
    file_id = drive.add_file("a", b"x")
    assert {*send("GET", f"{FILES}/{file_id}").json()} == {"kind", "id", "name", "mimeType"}
    answer = send("GET", f"{FILES}/{file_id}?fields=size,md5Checksum,capabilities/canEdit")
    assert answer.json()["size"] == "1" and answer.json()["capabilities"] == {"canEdit": True}
    bad = ["?fields=files(nmae)", "?fields=files(", "?q=name%20is%20'a'", "?pageSize=1001"]
    bad += ["?q=name%3D'a\\b'", "?pageToken=~1"]
    assert [send("GET", FILES + query).status_code for query in bad] == [400] * len(bad)
    assert send("GET", "/drive/v3/about").status_code == 400


def test_what_a_list_holds(drive: GoogleDrive, send: Client) -> None:
    """Not the trash and what is in it, nor shared drives unless they are asked for; each name as
    often as it is there, without regard to case.
    """
    gone = drive.add_folder("gone", trashed=True)
    shared = drive.add_shared_drive("team")
    drive.add_file("in it", b"", gone)
    drive.add_file("theirs", b"", shared)
    for name in ("a", "A", "a"):
        drive.add_file(name)
    drive.add_document("letter", {"text/plain": b"Dear"})

    def listed(query: str, **more: str) -> List[str]:
        fields = "files(name,size)"
        answer = send("GET", FILES, params={"q": query, "fields": fields, **more})
        return [file["name"] for file in answer.json()["files"]]

    assert listed("trashed = false") == ["a", "A", "a", "letter"]
    assert listed("name = 'a' and 'root' in parents") == ["a", "A", "a"]
    assert listed(f"mimeType != '{FOLDER}' and not name = 'a'") == ["in it", "letter"]
    assert listed(f"'{shared}' in parents", includeItemsFromAllDrives="true") == ["theirs"]
    assert "size" not in drive.meta(*drive.find("letter"))
    assert send("GET", f"{FILES}/{drive.find('theirs')[0]}").status_code == 404


def test_changes_name_each_file_once(drive: GoogleDrive, send: Client) -> None:
    """What changed twice is there once, in pages, and the last page has the token to go on with."""
    first, second = drive.add_file("a"), drive.add_file("b")
    start = send("GET", "/drive/v3/changes/startPageToken").json()["startPageToken"]
    for name in ("c", "d"):
        send("PATCH", f"{FILES}/{first}", json={"name": name})
    send("DELETE", f"{FILES}/{second}")
    changes: List[Dict[str, Any]] = []
    token = {"pageToken": start, "pageSize": "1"}
    while token["pageToken"]:
        answer = send("GET", "/drive/v3/changes", params=token).json()
        changes += answer["changes"]
        token["pageToken"] = answer.get("nextPageToken", "")
    assert [(change["fileId"], change["removed"]) for change in changes] == [
        (first, False),
        (second, True),
    ]
    token["pageToken"] = answer["newStartPageToken"]
    assert send("GET", "/drive/v3/changes", params=token).json()["changes"] == []


def test_a_download_in_parts(drive: GoogleDrive, send: Client) -> None:
    """Ranges, none of which is beyond the end; a cut and a changed byte when planned."""
    place = f"{FILES}/{drive.add_file('a', b'0123456789')}?alt=media"
    ranges = {"bytes=2-4": b"234", "bytes=8-": b"89", "bytes=-3": b"789", "bytes=5-99": b"56789"}
    for text, data in ranges.items():
        answer = send("GET", place, headers={"Range": text})
        assert answer.status_code == 206 and answer.content == data
    assert send("GET", place, headers={"Range": "bytes=10-"}).status_code == 416
    drive.faults.plan(cut(4), "media")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        send("GET", place)
    drive.faults.plan(corrupt(), "media")
    assert send("GET", place).content == b"1123456789"
    assert send("GET", place).content == b"0123456789"
