"""What a lock says: read back as it was written, by anybody who reads ``pylock.toml``."""

from __future__ import annotations

import base64
import gzip
import sys
from typing import Any, Dict

import pytest

from colab_magics.core.errors import NotebookError
from colab_magics.pin.lock import Lock, environment, machine
from colab_magics.pin.plan import parse_toml

URL = "https://files.example/tinyapp-1.0-py3-none-any.whl"
ARCHIVE = "https://files.example/tinyzip-1.0.zip"


def lock(**changes: Any) -> Lock:
    """A lock of a wheel and an archive, made here; ``changes`` to the wheel's package."""
    wheel = {"url": URL, "size": 7, "hashes": {"sha256": "a" * 64}}
    package: Dict[str, Any] = {"name": "tinyapp", "version": "1.0", "wheels": [wheel]}
    archive = {"url": ARCHIVE, "hashes": {"sha256": "b" * 64}}
    about = {"lines": ["tinyapp==1.0"], "made": "2026-11-23", "python": "3", "platform": machine()}
    return Lock(
        {
            "lock-version": "1.0",
            "environments": [environment()],
            "requires-python": ">=3.8",
            "created-by": "colab_magics",
            "packages": [{**package, **changes}, {"name": "tinyzip", "archive": archive}],
            "tool": {"colab_magics": about},
        }
    )


def test_it_is_read_back_whole() -> None:
    """As it is and packed, the same data comes back; packed text is the same each time."""
    assert Lock.decode(lock().encode()) == lock()
    assert parse_toml(lock().encode())["lock-version"] == "1.0"
    large = lock(marker="x" * 9000)
    assert large.encode() == large.encode()
    assert large.encode().startswith("gzip:") and "\n" not in large.encode()
    assert Lock.decode(large.encode()) == large


def test_packaging_reads_it() -> None:
    """The library that other installers read locks with takes ours for one (PEP 751)."""
    pylock = pytest.importorskip("packaging.pylock", reason="elsewhere: packaging 26")
    found = pylock.Pylock.from_dict(parse_toml(lock().encode()))
    assert [str(package.name) for package in found.packages] == ["tinyapp", "tinyzip"]
    assert found.environments[0].evaluate()


def test_constraints_hold_versions_and_hashes() -> None:
    """A package from a URL only where a line names that URL: no other place gets in unseen."""
    only = ["tinyapp==1.0 --hash=sha256:" + "a" * 64]
    assert list(lock().constraints()) == only
    assert list(lock().constraints({"tinyzip": "https://evil.example/x.zip"})) == only
    assert list(lock().constraints({"tinyapp": ARCHIVE})) == only
    assert list(lock().constraints({"tinyzip": ARCHIVE}))[1:] == [
        f"tinyzip @ {ARCHIVE} --hash=sha256:" + "b" * 64
    ]


@pytest.mark.parametrize(
    "text", ["", "x", "gzip:", "gzip:AAAA", "lock-version = 1", "gzip:%%", "[]"]
)
def test_what_is_no_lock_is_refused(text: str) -> None:
    """Whatever stands in the metadata, the error says what to do."""
    with pytest.raises(NotebookError, match="%pin lock"):
        Lock.decode(text)


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    """A lock is never as large as what a few packed kilobytes can become."""
    bomb = base64.b64encode(gzip.compress(bytes(60_000_000))).decode()
    with pytest.raises(NotebookError, match="cannot be read"):
        Lock.decode("gzip:" + bomb)


def test_only_another_version_differs() -> None:
    """What is not installed at all is for the lines to ask for."""
    assert lock().differs({}) == lock().differs({"tinyapp": "1.0"}) == ""
    found = lock().differs({"tinyapp": "2.0"})
    assert found == "tinyapp 2.0 is installed, the lock says 1.0"


def test_it_is_for_this_python_alone() -> None:
    """Made here it fits; of another Python or with a wheel for elsewhere it does not."""
    assert lock().mismatch() == ""
    other = {**lock().data, "environments": ["python_version == '2.7'"]}
    assert Lock(other).mismatch() == f"it was made on Python 3, {machine()}"
    wheel = {"url": URL.replace("any", "other_1_x86"), "hashes": {"sha256": "a" * 64}}
    why = lock(wheels=[wheel]).mismatch()
    assert why == "tinyapp-1.0-py3-none-other_1_x86.whl does not fit this machine"
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in environment()
