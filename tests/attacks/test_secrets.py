"""A canary stands in no message, no output and no process's arguments."""

from __future__ import annotations

import time

import pytest

from colab_magics.errors import scrub
from colab_magics.pins.requirements import carries_secret

CANARY = "canary-3e9a11f0"

#: URLs with a password in every spelling, ``{}`` being a part of it.
URLS = [
    "https://user:{}@host/path",
    "https://{}@host/path",
    "https://:{}@host/",
    "https://user:{}@host",
    "HTTPS://USER:{}@HOST/",
    "git+ssh://git:{}@host/x",
    "git+https://{}@host/x@v1.2",
    "git+https://user:{}@host:8443/x@v1.2#egg=x",
    "https://user:p@{}@host/",
    "https://user:{}@ss@host/",
    "https://user:p@@{}@host/",
    "https://me@example.org:{}@host/",
    "https://user:pa/{}@host/",
    "https://user:{}/ss@host/",
    "https://user:pa//{}@host/",
    "https://user:a/b/{}/c@host/",
    "https://user:p?{}@host/",
    "https://user:p#{}@host/",
    "https://user:p%40{}@host/",
    "https://user:p:{}@[::1]:8443/",
    "//user:{}@host/",
    "//{}@host/",
    "user:{}@host/path",
    "user:{}@host:3128",
    "http://a/,https://user:{}@host/",
    "('https://a.b/c','https://user:{}@host/')",
    "https://a:1@b/,https://user:{}@host/",
    "https://user:x@b/,https://user:pa/{}@host/",
    "https://login/?next=https%3A%2F%2Fuser%3A{}%40host%2Fx",
    "https://login/?next=https%3a%2f%2f{}%40host",
    "redirect=//user:{}@host//user:{}@host",
    "ftp://user:{}@host;type=i",
    "socks5h://user:{}@host:1080",
    "https://üser:pä{}@host/",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("around", ["{}", "Cloning {} to x", "a\n{}\nb", "'{}'", "<{}>", '"{}", '])
def test_no_password_of_a_url_is_said(url: str, around: str) -> None:
    """Whatever the password holds and wherever it stands, nothing of it is left."""
    said = scrub(around.format(url.replace("{}", CANARY)))
    assert CANARY not in said and "****" in said
    assert said.startswith(around.partition("{}")[0])


@pytest.mark.parametrize("url", [one for one in URLS if "://" in one and "%2" not in one.lower()])
def test_no_requirement_with_a_password_is_recorded(url: str) -> None:
    """What `scrub` takes out of a URL makes a requirement one that is not recorded."""
    assert carries_secret(f"x @ {url.replace('{}', CANARY)}")


@pytest.mark.parametrize(
    "text",
    [
        "x @ git+https://github.com/me/x@v1.2",
        "x @ git+https://host:8443/me/x@1a2b3c4",
        "x @ git+http://registry:5000/me/x@v1",
        "https://[::1]:8000/a@b",
        "https://unpkg.com/@scope/name@1.2.3/file.js",
        "mail me@example.org, or git@github.com:me/x.git",
        "mailto:me@example.org",
        "numpy==2.1.3 @ file:///wheels/numpy.whl",
        "drive:data@v1/x.csv",
        "100 % @ 12:30:45",
        "a // b @ c",
    ],
)
def test_other_texts_are_left_as_they_are(text: str) -> None:
    """A ref, a port, a scope and an address of mail are no passwords."""
    assert scrub(text) == text and not carries_secret(text)


@pytest.mark.parametrize(
    "piece", ["//a:b", "a:", "//", "//a@", "%2F%2F", "@", "x", "a:b@", "//a:b/c@", "%40"]
)
def test_a_long_text_takes_no_longer_for_what_it_holds(piece: str) -> None:
    """Four times the text takes less than eight times the time."""

    def seconds(count: int) -> float:
        text = piece * count + "@"
        begun = time.perf_counter()
        scrub(text)
        return time.perf_counter() - begun

    seconds(1000)
    least = min(seconds(5_000) for _ in range(3))
    assert min(seconds(20_000) for _ in range(3)) < max(8 * least, 0.05)
