"""A browser, and servers of either kind; missing parts skip here and fail in CI."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from kernel.files import notebook

from .window import CHROMIUM, KERNEL, Server, Window

NAMES = ("chromium", "chromium-browser", "google-chrome")

Open = Callable[..., Window]


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """Front ends are the same for every Python: once is enough."""
    for item in items:
        if "browser" in item.path.parts and not _installed():
            item.add_marker(pytest.mark.skip(reason="elsewhere: JupyterLab is not in this version"))


def _installed() -> bool:
    try:
        import jupyterlab  # noqa: F401
        import notebook  # noqa: F401
        import playwright  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser for all the tests."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="session", params=["lab", "notebook"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """JupyterLab, then Notebook 7, with the extension that the wheel has brought."""
    yield from _served(request.param, tmp_path_factory, extension=True)


@pytest.fixture(scope="session", params=["lab", "notebook"])
def bare_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The same without our extension."""
    yield from _served(request.param, tmp_path_factory, extension=False)


def _served(app: str, make: pytest.TempPathFactory, extension: bool) -> Iterator[Server]:
    server = Server(app, make.mktemp("work"), make.mktemp("home"), extension)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def open_notebook(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open a notebook of these cells in a window of its own: ``open_notebook(server, *cells)``."""
    contexts = []

    def opened(server: Server, *cells: str, minor: int = 5, name: str = "") -> Window:
        stem = name or "".join(c if c.isalnum() else "-" for c in request.node.name)
        path = server.folder / f"{stem}.ipynb"
        if cells:
            notebook(path, *cells, minor=minor, **KERNEL)
        context = chromium.new_context(viewport={"width": 1200, "height": 1000})
        contexts.append(context)
        return Window(server, context.new_page(), Path(path))

    yield opened
    for context in contexts:
        context.close()
