"""What the shell tests share: a fresh shell with the extension loaded, a web server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest
from doubles import nvml
from doubles.files_server import CANARY, Server
from support.cells import Cells, new_shell

from colab_magics.fetch import http, urls

Distribution = Callable[..., Path]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the double of NVML is."""
    try:
        return nvml.build(tmp_path_factory.mktemp("nvml"))
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def bare(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cells]:
    """A fresh shell without the extension; nobody is at its standard input."""
    from IPython.core.interactiveshell import InteractiveShell

    for name in ("VIRTUAL_ENV", "PYTHONSTARTUP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    with open(os.devnull) as nobody:
        monkeypatch.setattr(sys, "stdin", nobody)
        yield Cells(new_shell())
    InteractiveShell.clear_instance()


@pytest.fixture
def run(bare: Cells) -> Iterator[Cells]:
    """A fresh shell with the extension loaded: ``run(cell)`` gives the text shown."""
    from colab_magics.pin.loaded import STALE

    bare("%load_ext colab_magics")
    yield bare
    STALE.clear()


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distribution:
    """Make a distribution seem installed: its ``dist-info`` lies in a folder on ``sys.path``."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def add(name: str, version: str, **files: str) -> Path:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{files.pop('more', '')}"
        )
        for file, text in files.items():
            (info / f"{file}.json").write_text(text)
        return info

    return add


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make starting any process a failure."""
    import subprocess

    def refuse(command: Any, **options: Dict[str, Any]) -> None:
        pytest.fail(f"a process was started: {command}")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Server]:
    """A web server; secrets that a test makes known are forgotten behind it."""
    monkeypatch.setattr("colab_magics.core.redact._SECRETS", set())
    monkeypatch.setattr(http, "PAUSE", 0.01)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("MY_TOKEN", CANARY)
    for name in ("HF_ENDPOINT", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    with Server() as found:
        for name in ("google", "hugging face", "kaggle", "zenodo"):
            monkeypatch.setitem(urls.BASES, name, found.at)
        yield found
