"""What all tests share: a home of their own, and interpreters that are really there."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="all rounds of the long tests")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to run all rounds of a long test."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and a working directory in it, so that no test touches the user's own."""
    folder = tmp_path_factory.mktemp("home")
    work = folder / "work"
    work.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(folder / ".ipython"))
    for name in ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "BINDER_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(work)
    return folder
