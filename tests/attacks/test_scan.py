"""What ``%github save`` finds in what is sent, however it is written; and what it leaves alone."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import random
import time
import uuid
from typing import Any, Callable, Dict, List
from urllib.parse import quote

import pytest

from colab_magics.core.errors import SourceError
from colab_magics.core.redact import register_secret
from colab_magics.github.secret_scan import check_file, check_notebook

TOKEN = "ghp_" + "a1B2" * 9
KNOWN = "my-own-word-7c1f"
KAGGLE = json.dumps({"username": "somebody", "key": hashlib.md5(b"k").hexdigest()})

Writes = Callable[[str], Any]


def stream(*texts: str, name: str = "stdout") -> List[Dict[str, Any]]:
    """Outputs of a stream."""
    return [{"output_type": "stream", "name": name, "text": text} for text in texts]


def shows(kind: str, value: Any) -> List[Dict[str, Any]]:
    """An output of one MIME type."""
    return [{"output_type": "display_data", "data": {kind: value}, "metadata": {}}]


def coloured(text: str) -> str:
    """With an ANSI escape before each letter."""
    return "".join(f"\x1b[3{n % 8}m{char}" for n, char in enumerate(text)) + "\x1b[0m"


def tagged(text: str) -> str:
    """In pieces of HTML."""
    return "".join(f'<span class="s{n}">{char}</span>' for n, char in enumerate(text))


#: How a secret may stand in the outputs of a cell.
OUTPUTS: Dict[str, Writes] = {
    "plain": lambda text: stream(f"x {text}\n"),
    "a list of lines": lambda text: [{**stream("")[0], "text": ["a\n", text[:9], text[9:]]}],
    "two outputs": lambda text: stream(text[:9], text[9:]),
    "two outputs with a picture between": lambda text: [
        *stream(text[:9]),
        *shows("image/png", "iVBORw0KGgo="),
        *stream(text[9:]),
    ],
    "one letter each": lambda text: stream(*text),
    "two streams": lambda text: [*stream(text[:9]), *stream(text[9:], name="stderr")],
    "one stream around another": lambda text: [
        *stream(text[:9]),
        *stream("warning\n", name="stderr"),
        *stream(text[9:]),
    ],
    "HTML": lambda text: shows("text/html", f"<b>{html.escape(text)}</b>"),
    "HTML, in numbers": lambda text: shows(
        "text/html", "".join(f"&#{ord(char)};" for char in text)
    ),
    "HTML, in hex": lambda text: shows("text/html", "".join(f"&#x{ord(c):x};" for c in text)),
    "HTML, twice": lambda text: shows(
        "text/html", html.escape("".join(f"&#{ord(char)};" for char in text))
    ),
    "HTML, in tags": lambda text: shows("text/html", tagged(text)),
    "HTML, in lines": lambda text: shows("text/html", [tagged(text[:9]), tagged(text[9:])]),
    "a repr": lambda text: shows("text/plain", repr(f"user\n{text}\n")),
    "a repr of bytes": lambda text: shows("text/plain", repr(f"a\r\n{text}".encode())),
    "a repr of colours": lambda text: shows("text/plain", repr(coloured(text))),
    "escapes of Unicode": lambda text: stream("".join(f"\\u{ord(char):04x}" for char in text)),
    "a URL's query": lambda text: stream(f"https://h/?next=%2F%3Ftoken%3D{text}"),
    "percent escapes": lambda text: stream("".join(f"%{ord(char):02x}" for char in text)),
    "colours": lambda text: stream(coloured(text)),
    "colours at the half": lambda text: stream(f"{text[:9]}\x1b[1;31m{text[9:]}"),
    "colours over two outputs": lambda text: stream(f"{text[:9]}\x1b[1m", f"\x1b[0m{text[9:]}"),
    "a link of a terminal": lambda text: stream(f"{text[:9]}\x1b]8;;http://x\x1b\\{text[9:]}"),
    "a traceback": lambda text: [
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": [coloured(text)]}
    ],
    "zero width": lambda text: stream("\u200b".join(text)),
    "bidi and soft hyphens": lambda text: stream("\u202a\u00ad".join(text)),
    "NUL between": lambda text: stream("\0".join(text)),
    "bytes of UTF-16": lambda text: stream(repr(text.encode("utf-16-le"))),
    "JSON": lambda text: shows("application/json", {"a": [text]}),
    "a widget": lambda text: shows("application/vnd.x+json", {"a": {text: 1}}),
    "base64": lambda text: stream(base64.b64encode(f"me:{text}\n".encode()).decode()),
    "base64, a header": lambda text: stream(
        f"Authorization: Basic {base64.b64encode(f'me:{text}'.encode()).decode()}\n"
    ),
    "base64, in lines": lambda text: stream(
        base64.encodebytes(b"x" * 50 + b" " + text.encode()).decode()
    ),
    "base64 of UTF-16": lambda text: stream(base64.b64encode(text.encode("utf-16-le")).decode()),
    "base64 behind a-": lambda text: stream("a-" + base64.b64encode(text.encode()).decode()),
    "base64 in a path": lambda text: stream(
        "https://h/v2x/" + base64.b64encode(text.encode()).decode()
    ),
    "base64 below a word": lambda text: stream(
        "abcdefghijklmnopqrs\n" + base64.b64encode(text.encode()).decode()
    ),
    "base64 without padding, in lines": lambda text: stream(
        "\n".join(base64.b64encode(each).decode().strip("=") for each in [text.encode()] * 3)
    ),
    "base64, a repr of lines": lambda text: stream(
        repr(base64.encodebytes(b" " * 100 + text.encode() + b" " * 100))
    ),
    "base64, indented lines": lambda text: stream(
        base64.encodebytes(b" " * 100 + text.encode() + b" " * 100).decode().replace("\n", "\n  ")
    ),
    "base64, long": lambda text: shows(
        "image/png", base64.b64encode(b"\x89" * 60_000 + text.encode() + b"\xff" * 9).decode()
    ),
    "base64, long and in lines": lambda text: shows(
        "image/png", "a-" + base64.encodebytes(b"\xff" * 99_000 + text.encode()).decode()
    ),
    "HTML, printed in pieces": lambda text: [
        *shows("text/html", text[:9]),
        *shows("text/html", [text[9:12], text[12:]]),
    ],
    "HTML, a sign in quotes": lambda text: shows(
        "text/html", f"{text[:9]}<span title='a>b' lang=\"'>\">{text[9:]}</span>"
    ),
    "HTML, a comment": lambda text: shows("text/html", f"{text[:9]}<!-- > -->{text[9:]}"),
    "base64 in HTML": lambda text: shows(
        "text/html", f'<a href="data:text/plain;base64,{base64.b64encode(text.encode()).decode()}">'
    ),
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """One secret is known here."""
    monkeypatch.setattr("colab_magics.core.redact._SECRETS", set())
    register_secret(KNOWN)


def made(outputs: Any = (), source: str = "x = 1", **more: Any) -> Dict[str, Any]:
    """A notebook of one cell."""
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "execution_count": 1,
        "source": source,
        "outputs": list(outputs),
    }
    return {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more}


@pytest.mark.parametrize("secret", [TOKEN, KNOWN, KAGGLE])
@pytest.mark.parametrize("way", OUTPUTS)
def test_a_secret_in_an_output(way: str, secret: str) -> None:
    """It is found however the output writes it, and the error does not repeat it."""
    with pytest.raises(SourceError) as raised:
        check_notebook("nb.ipynb", json.loads(json.dumps(made(OUTPUTS[way](secret)))))
    assert TOKEN not in str(raised.value) and KNOWN not in str(raised.value)


@pytest.mark.parametrize("secret", [TOKEN, KNOWN, KAGGLE])
@pytest.mark.parametrize(
    "more",
    [
        {"metadata": {"a": [{"b": "{}"}]}},
        {"metadata": {"{}": 1}},
        {"extra": "{}"},
        {"extra": {"deep": [1, {"{}": None}]}},
        {"worksheets": [{"cells": [{"input": "x = '{}'"}]}]},
        {"source": "x = {!r}"},
        {"source": "# {}"},
    ],
)
def test_a_secret_anywhere_else(more: Dict[str, Any], secret: str) -> None:
    """In metadata, in keys that nobody knows, and in the text of a cell."""
    text = json.dumps(more).replace("{!r}", "{}").replace("{}", json.dumps(secret)[1:-1])
    with pytest.raises(SourceError):
        check_notebook("nb.ipynb", made(**json.loads(text)))


def test_keys_of_kaggle_in_metadata() -> None:
    """A name and a key that are no text but a part of the notebook."""
    with pytest.raises(SourceError):
        check_notebook("nb.ipynb", made(extra={"a": json.loads(KAGGLE)}))


@pytest.mark.parametrize("secret", [TOKEN, KNOWN, KAGGLE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_a_secret_in_a_file(encoding: str, secret: str) -> None:
    """In any encoding, and in a file of Kaggle's name whatever it holds."""
    with pytest.raises(SourceError):
        check_file("a.txt", f"a\n# {secret}\n".encode(encoding))
    with pytest.raises(SourceError):
        check_file("deep/kaggle.json", b"{}")
    with pytest.raises(SourceError):
        check_file("a.txt", base64.b64encode(f"me:{secret}\n".encode(encoding)))


def ordinary(chance: random.Random) -> Dict[str, Any]:
    """A notebook as people have them: hashes, commits, ids, pictures, tables, colours."""

    def some() -> str:
        data = bytes(chance.randrange(256) for _ in range(chance.choice([16, 20, 32, 64, 3000])))
        return chance.choice(
            [
                data.hex(),
                hashlib.sha1(data).hexdigest(),
                f"sha256:{hashlib.sha256(data).hexdigest()}",
                str(uuid.UUID(bytes=data[:16])),
                base64.b64encode(data).decode(),
                base64.urlsafe_b64encode(data).decode(),
                base64.encodebytes(data).decode(),
                f"https://host/{data.hex()}?x={quote(base64.b64encode(data))}",
                f"<img src='data:image/png;base64,{base64.b64encode(data).decode()}'>",
                f"index {data.hex()[:7]}..{data.hex()[8:15]} 100644",
                f"{{'key': '{data.hex()[:32]}', 'name': 'x'}}",
                f'{{"username": "me", "key": "id", "md5": "{data.hex()[:32]}"}}',
                f"pip install x --hash=sha256:{hashlib.sha256(data).hexdigest()}",
                "sk-learn, hf_hub, ghp, eyJ, AKIA and AIza are words",
            ]
        )

    outputs = [
        *stream(some(), some() + "\n"),
        *stream(coloured(some()[:200]), name="stderr"),
        *shows("text/html", f"<table><tr><td>{some()}</td><td>{html.escape(some())}</td></table>"),
        *shows("image/png", base64.b64encode(chance.randbytes(4000)).decode()),
        *shows("application/json", {some()[:40]: some(), "key": some()}),
        *stream(some()[:9], some()[9:]),
    ]
    return made(outputs, f"h = '{some()[:60]}'\n# {some()[:60]}", metadata={"x": some()}, y=some())


def test_ordinary_notebooks_may_leave(long: bool, held: Callable[[int, int], None]) -> None:
    """No hash, commit, id or picture is taken for a secret, in thousands of made-up notebooks."""
    count, alarms = (5000 if long else 150), []
    for seed in range(count):
        try:
            check_notebook("nb.ipynb", ordinary(random.Random(seed)))
        except SourceError as error:
            alarms.append((seed, error.message))
    held(count, count - len(alarms))
    assert not alarms


@pytest.mark.parametrize(
    "piece",
    [
        *("a", "ghp_", "&#9", "<", "\x1b[", "\x1b]", "AAAA\n", "://a:", "&", '<a="<', "<a='\"<"),
        *(
            "<!--",
            "<a ",
            "a" * 16 + "\n",
            "a" * 16 + "\nb\n  ",
            "a" * 99 + "\n",
            "\\n",
            "aaaa\\n  ",
        ),
    ],
)
def test_a_long_output_takes_no_longer_for_what_it_holds(piece: str) -> None:
    """Four times the text takes less than eight times the time."""

    def seconds(size: int) -> float:
        notebook = made(stream((piece * size)[:size]))
        begun = time.process_time()
        check_notebook("nb.ipynb", notebook)
        return time.process_time() - begun

    seconds(1000)
    least = min(seconds(50_000) for _ in range(3))
    assert min(seconds(200_000) for _ in range(3)) < max(8 * least, 0.1)
