"""The user's pip settings are what pip would go by, and uv is told the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from colab_magics.pin.pip_config import PipSettings, configuration_files, read_settings
from colab_magics.pin.uv import Uv

ONE, TWO = "https://one.example/simple", "https://two.example/simple"

pytestmark = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="elsewhere: the files of Linux"
)

#: The names of files below the home of a test.
SHARED, LEGACY, USER, NAMED = "xdg/pip", ".pip", ".config/pip", "named"


@pytest.fixture
def environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> Dict[str, str]:
    """The variables of a user without any settings but those in the files of the test."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "XDG_"))}
    return {**kept, "XDG_CONFIG_DIRS": str(home / "xdg")}


def write(home: Path, place: str, text: str) -> Path:
    """Write a configuration file of pip."""
    path = home / place / "pip.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


#: Files and their texts, and variables: what pip makes of them is asked of pip.
SITUATIONS: List[Any] = [
    (
        {
            SHARED: f"[global]\nindex-url = {ONE}\ntimeout = 5\n",
            LEGACY: f"[global]\nindex_url = {TWO}\nproxy = http://p.example:1\n",
            USER: f"[global]\nextra-index-url =\n    {ONE}\n    {TWO}\n",
        },
        {"PIP_TIMEOUT": "7"},
    ),
    (
        {
            USER: f"[install]\nindex-url = {ONE}\n[list]\nindex-url = nowhere\n",
            SHARED: f"[global]\nindex-url = {TWO}\ntrusted-host = a.example b.example\n",
        },
        {"PIP_EXTRA_INDEX_URL": f"{ONE} {TWO}", "PIP_PROXY": ""},
    ),
    (
        {
            SHARED: f"[global]\nindex-url = {ONE}\nproxy = http://p.example:1\n",
            USER: "[global]\nindex-url =\nproxy = http://q.example:1\n[install]\nproxy =\n",
        },
        {},
    ),
    (
        {
            USER: f"[global]\nindex-url = {ONE}\ntimeout = 5\n",
            NAMED: f"[global]\nextra-index-url = {TWO}\n",
        },
        {"PIP_CONFIG_FILE": f"{NAMED}/pip.conf"},
    ),
    ({USER: f"[global]\nindex-url = {ONE}\n"}, {"PIP_CONFIG_FILE": "gone.conf"}),
    ({USER: f"[global]\n--index-url = {ONE}\n"}, {}),
    ({USER: f"[global]\nindex-url = {ONE}\n"}, {"PIP_CONFIG_FILE": os.devnull}),
]

_ASK = """
import json
from pip._internal.commands import create_command
found = create_command("install").parser.get_default_values()
print(json.dumps([found.index_url, found.extra_index_urls, found.timeout, found.proxy,
                  found.trusted_hosts]))
"""


@pytest.mark.parametrize(("files", "variables"), SITUATIONS)
def test_pip_would_go_by_the_same(
    home: Path, environment: Dict[str, str], files: Dict[str, str], variables: Dict[str, str]
) -> None:
    """Files, sections and variables are read in pip's order: what it says is what we read."""
    pytest.importorskip("pip", reason="pip is not installed beside these tests")
    for place, text in files.items():
        write(home, place, text)
    environment = {**environment, **variables}
    if variables.get("PIP_CONFIG_FILE", "/")[0] != "/":
        environment["PIP_CONFIG_FILE"] = str(home / variables["PIP_CONFIG_FILE"])
    done = subprocess.run(
        [sys.executable, "-c", _ASK], env=environment, stdout=subprocess.PIPE, check=True
    )
    index, extra, timeout, proxy, trusted = json.loads(done.stdout)
    ours = read_settings(environment)
    assert ours.indexes == [index, *extra]
    assert float(ours.values.get("timeout", ours.values.get("default-timeout", "15"))) == timeout
    assert ours.values.get("proxy") == (proxy or None)
    assert ours.words("trusted-host") == trusted


def test_a_variable_wins_over_every_file(home: Path, environment: Dict[str, str]) -> None:
    """``PIP_INDEX_URL`` is what counts, whatever stands in which section of which file."""
    write(home, USER, f"[global]\nindex-url = {ONE}\n[install]\nindex-url = {ONE}\n")
    assert read_settings(environment).indexes[0] == ONE
    assert read_settings({**environment, "PIP_INDEX_URL": TWO}).indexes[0] == TWO


@pytest.mark.parametrize("text", ["no section = 1", "[global]\nindex-url", "\xff[", "[global\n"])
def test_a_broken_file_is_passed_over(home: Path, environment: Dict[str, str], text: str) -> None:
    """A file that cannot be read does not stop a pin; pip says itself what is wrong with it."""
    write(home, SHARED, f"[global]\nindex-url = {ONE}\n")
    path = write(home, USER, "")
    path.write_bytes(text.encode("latin-1"))
    assert read_settings(environment).indexes[0] == ONE


def test_pip_without_files_reads_none(environment: Dict[str, str]) -> None:
    """``PIP_CONFIG_FILE=/dev/null`` means that no file counts."""
    assert configuration_files({**environment, "PIP_CONFIG_FILE": os.devnull}) == []


def test_the_indexes_are_those_that_pip_would_ask() -> None:
    """The main index first, PyPI where none is named, and none at all with ``no-index``."""
    assert PipSettings({}).indexes == ["https://pypi.org/simple"]
    both = PipSettings({"index-url": ONE, "extra-index-url": f"\n{TWO}\nhttps://c\n"})
    assert both.indexes == [ONE, TWO, "https://c"]
    assert PipSettings({"index-url": ONE, "no-index": "true"}).indexes == []


# ---------------------------------------------------------------------- for uv
@pytest.mark.parametrize(
    ("values", "variables"),
    [
        ({"index-url": f" {ONE} "}, {"UV_DEFAULT_INDEX": ONE}),
        (
            {"extra-index-url": f"\n{ONE}\n{TWO}"},
            {"UV_INDEX": f"{ONE} {TWO}", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"trusted-host": "a\nb"}, {"UV_INSECURE_HOST": "a b"}),
        ({"cert": "/c.pem"}, {"SSL_CERT_FILE": "/c.pem"}),
        ({"timeout": "60"}, {"UV_HTTP_TIMEOUT": "60"}),
        ({"default-timeout": "60"}, {"UV_HTTP_TIMEOUT": "60"}),
        ({"proxy": "http://p:1"}, {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:1"}),
        ({"pre": "yes"}, {"UV_PRERELEASE": "allow"}),
        ({"pre": "no"}, {}),
        ({"no-cache-dir": "1"}, {"UV_NO_CACHE": "1"}),
        ({"break-system-packages": "on"}, {"UV_BREAK_SYSTEM_PACKAGES": "1"}),
        ({"find-links": "https://x/wheels"}, {"UV_FIND_LINKS": "https://x/wheels"}),
        ({"find-links": "/no/such/folder"}, {}),
        ({"index-url": ""}, {}),
        ({"quiet": "1", "disable-pip-version-check": "1"}, {}),
    ],
)
def test_a_setting_becomes_a_variable_of_uv(
    values: Dict[str, str], variables: Dict[str, str]
) -> None:
    """Each setting that uv has too is told to it, in uv's form; what means nothing is left out."""
    told = PipSettings(values).for_uv({})
    assert (told.environment, told.untranslated) == (variables, [])


def test_folders_with_wheels_are_given_if_they_exist(tmp_path: Path) -> None:
    """A folder that is not there stops uv, but not pip: only those that are there are told."""
    values = {"find-links": f"{tmp_path} /no/such/folder https://x/wheels"}
    told = PipSettings(values).for_uv({})
    assert told.environment == {"UV_FIND_LINKS": f"{tmp_path},https://x/wheels"}


@pytest.mark.parametrize(
    ("explicit", "lost"),
    [
        ("UV_DEFAULT_INDEX", "UV_DEFAULT_INDEX"),
        ("UV_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("UV_INDEX", "UV_INDEX"),
        ("UV_EXTRA_INDEX_URL", "UV_INDEX"),
        ("UV_INDEX_STRATEGY", "UV_INDEX_STRATEGY"),
        ("UV_HTTP_TIMEOUT", "UV_HTTP_TIMEOUT"),
    ],
)
def test_what_was_told_to_uv_wins(explicit: str, lost: str) -> None:
    """A variable of uv that is set, by its new name or its old one, is not written over."""
    settings = PipSettings({"index-url": ONE, "extra-index-url": TWO, "timeout": "9"})
    everything = settings.for_uv({}).environment
    assert settings.for_uv({explicit: "mine"}).environment == {
        name: value for name, value in everything.items() if name != lost
    }


def test_what_no_variable_says_stands_in_the_requirements_file() -> None:
    """``no-index``, ``only-binary`` and ``no-binary`` are lines for the head of the file."""
    values = {"no-index": "true", "only-binary": " :all: ", "no-binary": "numpy"}
    told = PipSettings(values).for_uv({})
    assert told.options == ["--no-index", "--only-binary :all:", "--no-binary numpy"]
    assert (told.environment, told.untranslated) == ({}, [])
    assert PipSettings({"no-index": "no"}).for_uv({}).options == []


def test_what_has_no_equal_is_named() -> None:
    """A setting that uv does not know is not dropped in silence: it is a reason against uv."""
    settings = PipSettings({"user": "1", "target": "/x", "index-url": ONE})
    assert settings.for_uv({}).untranslated == ["user", "target"]
    reason = Uv().available(settings)
    assert reason == "uv has no equivalent of pip's setting user, target"


def test_a_password_travels_in_no_argument(tmp_path: Path) -> None:
    """An index's URL with a password is in the variables, never in a command or a file."""
    settings = PipSettings({"index-url": "https://me:hunter2@x/simple", "extra-index-url": TWO})
    uv = Uv()
    assert uv.environment(settings)["UV_DEFAULT_INDEX"] == "https://me:hunter2@x/simple"
    shown = [*uv.install_command(tmp_path / "r", tmp_path / "c", []), *uv.option_lines(settings)]
    assert "hunter2" not in " ".join(shown)


def test_constraints_are_lines_not_a_variable() -> None:
    """Uv passes over its variable where an argument names constraints, as ours does."""
    told = PipSettings({"constraint": "/c.txt ~/d.txt"}).for_uv({})
    assert told.options == ["-c /c.txt", f"-c {Path.home() / 'd.txt'}"]
    assert told.environment == {}


def test_without_a_cache_that_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user's own cache cannot be written, uv works without one, in no shared folder."""
    monkeypatch.delenv("UV_NO_CACHE", raising=False)
    assert "UV_NO_CACHE" not in Uv().environment(PipSettings({}))
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    assert Uv().environment(PipSettings({}))["UV_NO_CACHE"] == "1"
