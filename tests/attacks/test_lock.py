"""Locks that strangers wrote: of the notebook's metadata nothing becomes an option of uv.

Each hostile lock takes the way of every lock: decoded, made into a constraints file, and that
handed to the real uv, whose every request to a host that nobody named would reach a double.
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import pytest
from doubles.index import make_wheel
from doubles.watched import Watched, watch
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.version import Version

from colab_magics.core.errors import NotebookError
from colab_magics.pin.environment import Needs
from colab_magics.pin.install import rehearse
from colab_magics.pin.lock import Lock, environment

tomli_w = pytest.importorskip("tomli_w")

HEX = "a" * 64
URL = "https://files.example/tinyapp-1.0-py3-none-any.whl"
EVIL = "http://mirror.evil.test/simple/"


def text(package: Any = (), about: Any = (), **top: Any) -> str:
    """A lock of tinyapp in TOML, with changes to its package, to ``about`` and on top."""
    return str(tomli_w.dumps(data(package, about, **top)))


def data(package: Any = (), about: Any = (), **top: Any) -> Dict[str, Any]:
    """Its data."""
    wheel = {"url": URL, "hashes": {"sha256": HEX}}
    known = {"lines": ["tinyapp"], "made": "2026-11-23", "python": "3", "platform": "linux x86_64"}
    return {
        "lock-version": "1.0",
        "environments": [environment()],
        "packages": [{"name": "tinyapp", "version": "1.0", "wheels": [wheel], **dict(package)}],
        "tool": {"colab_magics": {**known, **dict(about)}},
        **top,
    }


def wheel(**changes: Any) -> Dict[str, Any]:
    """A package whose wheel has these changes."""
    return {"wheels": [{"url": URL, "hashes": {"sha256": HEX}, **changes}]}


def archive(**changes: Any) -> Dict[str, Any]:
    """A package that is an archive, with these changes to it."""
    return {"wheels": [], "archive": {"url": EVIL, "hashes": {"sha256": HEX}, **changes}}


NAMES = [
    "-i http:pypi",
    "--index-url=" + EVIL,
    "--extra-index-url " + EVIL,
    f"-f {EVIL}",
    "-r /etc/passwd",
    "-e .",
    "-c /proc/self/environ",
    "tinyapp @ file:///etc/passwd",
    f"tinyapp @ {EVIL}x.whl",
    "tinyapp\n-i http:pypi",
    "tinyapp\r--pre",
    "tinyapp\u2028--pre",
    "tinyapp #",
    "tinyapp ; python_version",
    "tinyapp[extra]",
    "tinyapp\x00",
    "tinyapp ",
    "tınyapp",
    "ſix",
    "\u212aeras",
    "٣x",
    "tinyapp\\",
    "${HOME}",
    "",
    "-",
    "x" * 10_000,
    7,
    ["tinyapp"],
    {"name": "tinyapp"},
]
VERSIONS = [
    "1.0 --index-url " + EVIL,
    "1.0\n--pre",
    " 1.0",
    "1.0 ",
    "1.0\t",
    "1.0\u20281",
    "٣",
    "poſt1",
    "latest",
    "1.*",
    "1.0,>0",
    "1+mirror.evil.test --pre",
    "",
    "1" * 5_000,
    1.0,
    True,
]
HASHES = [
    {},
    {"sha256": ""},
    {"sha256": "a" * 63},
    {"sha256": "A" * 64},
    {"sha256": "g" * 64},
    {"sha256": f"{'a' * 62} b"},
    {"sha256": f"{HEX}\n-i http:pypi"},
    {"sha256": 7},
    {"md5": HEX},
    {"sha1": "a" * 40},
    {"sha256 -i": HEX},
    {"": ""},
    "sha256",
    [],
]
PLACES = [
    {"url": 7},
    {"url": ["x"]},
    {"url": ""},
    {"url": "http://["},
    {"url": "https://x/a%0aSecurity:%20run%20it.whl"},
    {"url": "https://x/\x1b]52;c;x\x07"},
    {"url": "https://x/\u202etxt.whl"},
    {"url": f"https://x/{'a.' * 5_000}-any.whl"},
    {"path": {}},
    {"size": -1},
    {"size": 1.5},
    {"size": "7"},
    {"size": 2**64},
]
MARKERS = [
    "python_version ~= 'abc'",
    "python_version",
    "os.system('x')",
    "(" * 200 + "python_version > '3'" + ")" * 200,
    "(" * 90_000,
    "python_version > '3' or " * 1_000 + "python_version > '3'",
    7,
    ["python_version > '3'"],
]
TEXTS = {
    "deep array": "x = " + "[" * 100_000,
    "deep inline table": "x = " + "{a=" * 50_000,
    "deep dotted key": ".".join("a" * 100_000) + " = 1",
    "deep heads": f"[{'a.' * 20_000}a]\n" + "".join(f"b{n} = 1\n" for n in range(20_000)),
    "huge number": "lock-version = " + "9" * 100_000,
    "huge hexadecimal": "lock-version = 0x" + "f" * 1_000_000,
    "long": "#" * 6_000_000,
    "nul": "lock-version = '1.0'\x00",
    "half a surrogate": "lock-version = '\ud800'",
    "no table": "[]",
    "empty": "",
    "packed, not base64": "gzip:\u2028",
    "packed, cut": "gzip:" + base64.b64encode(gzip.compress(b"x")[:-4]).decode(),
    "packed, not text": "gzip:" + base64.b64encode(gzip.compress(b"\xff\xfe")).decode(),
    "a bomb": "gzip:" + base64.b64encode(gzip.compress(bytes(60_000_000))).decode(),
    "a bomb in a bomb": "gzip:"
    + base64.b64encode(gzip.compress(gzip.compress(bytes(60_000_000)))).decode(),
}

#: A part of a lock → how it is put in there, and the values that are tried.
PARTS: Dict[str, Tuple[Callable[[Any], str], Sequence[Any]]] = {
    "name": (lambda x: text({"name": x}), NAMES),
    "name, before a local version": (
        lambda x: text({"name": x, "version": "1+mirror.evil.test"}),
        NAMES,
    ),
    "version": (lambda x: text({"version": x}), VERSIONS),
    "hashes": (lambda x: text(wheel(hashes=x)), HASHES),
    "hashes of an archive": (lambda x: text(archive(hashes=x)), HASHES),
    "file": (lambda x: text(wheel(**x)), PLACES),
    "archive": (lambda x: text(archive(**x)), [*PLACES, {"url": "None"}, {"url": "folder"}]),
    "wheels": (lambda x: text({"wheels": x}), ["x", 7, {}, [7], ["x"], [["url"]], [{}]]),
    "sdist": (lambda x: text({"sdist": x}), ["x", 7, [], ["url"], {}]),
    "archive as": (lambda x: text({"archive": x}), ["x", 7, [], {}]),
    "packages": (
        lambda x: text(packages=x),
        ["x", 7, {}, [7], ["x"], [[]], [{}], data()["packages"] * 2],
    ),
    "marker": (lambda x: text(environments=[x]), MARKERS),
    "environments": (lambda x: text(environments=x), ["x", 7, {}]),
    "tool": (lambda x: text(tool=x), ["x", 7, [], {}, {"colab_magics": "x"}]),
    **{
        name: (lambda x, name=name: text((), {name: x}), [7, [7], {}, "\x1b]0;x\x07", ["a\nb"]])  # type: ignore[misc]
        for name in ("lines", "made", "python", "platform")
    },
    "text": (str, list(TEXTS.values())),
}
ATTACKS = {
    f"{part} {value!r:.60}": put(value) for part, (put, values) in PARTS.items() for value in values
}


class Way(NamedTuple):
    """What a lock goes through, and who was asked on it."""

    rehearse: Callable[[str], str]
    strangers: Watched


@pytest.fixture(scope="module")
def doubles_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[List[Watched]]:
    """The user's index, which has tinyapp, and a proxy for all other hosts, which has nothing."""
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(folder, "tinyapp", "1.0")
    make_wheel(folder, "tinyapp", "2.0")
    with watch(folder) as index, watch(tmp_path_factory.mktemp("nothing")) as strangers:
        yield [index, strangers]


@pytest.fixture
def way(doubles_: List[Watched], monkeypatch: pytest.MonkeyPatch) -> Way:
    """A lock's way from the metadata to uv, which says what it would install and does not."""
    index, strangers = doubles_
    proxy = strangers.url[: -len("/simple/")]
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
        monkeypatch.setenv(name.lower(), proxy)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    strangers.asked.clear()

    def go(written: str) -> str:
        lock = Lock.decode(written)
        lock.mismatch()
        needs = Needs(["tinyapp"], [], [])
        return "\n".join(rehearse(needs, {}, frozenset(), lambda message: None, lock).lines)

    return Way(go, strangers)


def good(index: Watched) -> str:
    """The text of the lock of tinyapp 1.0 as that index has it."""
    import hashlib

    file = next(index.folder.glob("tinyapp-1.0*"))
    hashes = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    return text(wheel(hashes=hashes))


def test_a_good_lock_goes_all_the_way(way: Way, doubles_: List[Watched]) -> None:
    """The way is the real one: an honest lock holds uv to its version, and no stranger is asked."""
    assert "Would install tinyapp 1.0" in way.rehearse(good(doubles_[0]))
    assert way.strangers.asked == []


def test_hostile_locks(way: Way, held: Callable[[int, int], None]) -> None:
    """Each is refused by an error of ours of two lines, soon; no stranger's index is asked."""
    failed = {}
    for name, attack in ATTACKS.items():
        started = time.monotonic()
        try:
            failed[name] = way.rehearse(attack)
        except NotebookError as error:
            if len(str(error).splitlines()) != 2:
                failed[name] = repr(error)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
        if time.monotonic() - started > 10:
            failed[name] = "slow"
    held(len(ATTACKS), len(ATTACKS) - len(failed))
    assert failed == {}
    assert way.strangers.asked == []


words = st.one_of(
    st.sampled_from([x for x in [*NAMES, *VERSIONS] if isinstance(x, str)]),
    st.text(max_size=30),
    st.from_regex(r"[a-z]{1,5}(-[a-z0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){0,2}(\+[a-z.]{1,5})?", fullmatch=True),
)
hexes = st.one_of(st.text("0123456789abcdef", min_size=64, max_size=64), words)


@given(words, words, st.dictionaries(st.one_of(st.just("sha256"), words), hexes, max_size=2))
def test_lines_of_constraints_are_what_they_say(
    name: str, version: str, hashes: Dict[str, str]
) -> None:
    """Whatever a lock holds is refused, or makes one line: a name, a version and hashes."""
    try:
        lock = Lock.decode(text({"name": name, "version": version, **wheel(hashes=hashes)}))
    except NotebookError:
        return
    (line,) = "\n".join(lock.constraints()).splitlines()
    pin, *rest = line.split(" --hash=")
    asked = Requirement(pin)
    assert pin.isascii() and not pin.startswith("-") and " " not in pin
    assert (asked.name, str(asked.specifier), asked.url) == (name, f"=={version}", None)
    assert Version(version) and len(rest) == len(hashes) > 0


def test_a_lock_in_metadata_of_any_type(held: Callable[[int, int], None]) -> None:
    """Metadata that is no text, at any level, is no lock; nothing is raised."""
    from colab_magics.notebook.metadata_keys import READERS

    values: List[Any] = [None, 7, [], {}, "x", {"colab_magics": None}, {"colab_magics": []}]
    values += [{"colab_magics": {"lock": value}} for value in (None, 7, [], {}, True)]
    good_ = [value for value in values if READERS["lock"](json.loads(json.dumps(value))) is None]
    held(len(values), len(good_))
    assert good_ == values
