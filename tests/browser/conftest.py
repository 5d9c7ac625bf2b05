"""A browser, and servers of each kind; missing parts skip here and fail in CI."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest
from support.notebooks import notebook
from support.window import KERNEL, Server, Window

#: The kinds of front end: ``rtc`` is with jupyter-collaboration, ``server`` with a package that
#: runs the cells on the server, ``bare`` without our extension.
PLAIN = ("lab", "notebook")
TOGETHER = ("lab-rtc", "notebook-rtc")
EVERY = (*PLAIN, *TOGETHER)

VIEWPORT = {"width": 1200, "height": 1000}

Open = Callable[..., Window]
Servers = Callable[[str], Server]


def on(*quick: str, long: Tuple[str, ...] = ()) -> pytest.MarkDecorator:
    """The front ends that a test runs on, and those that it runs on with ``--long``."""
    more = [pytest.param(front, marks=pytest.mark.long) for front in long if front not in quick]
    return pytest.mark.parametrize("server", [*quick, *more], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Front ends are the same for every Python: once is enough. Some only with ``--long``."""
    ours = [item for item in items if "browser" in item.path.parts]
    if not _installed():
        for item in ours:
            item.add_marker(pytest.mark.skip(reason="elsewhere: JupyterLab is not in this version"))
    if not config.getoption("--long"):
        left_out = [item for item in ours if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def _installed() -> bool:
    try:
        import jupyterlab  # noqa: F401
        import notebook  # noqa: F401
        import playwright  # noqa: F401
    except ImportError:
        return False
    return True


def _collaboration() -> bool:
    try:
        import jupyter_collaboration  # noqa: F401
    except ImportError:
        return False
    return True


def executor() -> str:
    """The package that runs cells on the server, where one is installed; it replaces the page."""
    names = ("jupyter_server_nbmodel", "jupyter_server_documents")
    return next(filter(find_spec, names), "")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One server of each kind, started when it is first asked for."""
    running: Dict[str, Server] = {}

    def of(front: str) -> Server:
        if front not in running:
            app, *kind = front.split("-")
            if "server" in kind and not executor():
                pytest.skip("elsewhere: no package that runs cells on the server in this version")
            if "rtc" in kind and not _collaboration():
                pytest.skip("jupyter-collaboration is not installed")
            make = tmp_path_factory.mktemp
            together = bool({"rtc", "server"} & {*kind})
            running[front] = Server(app, make("work"), make("home"), "bare" not in kind, together)
            running[front].start()
        return running[front]

    yield of
    for server in running.values():
        server.stop()


@pytest.fixture
def server(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Server]:
    """The server of the front end that `on` names; its kernels end with the test."""
    found = servers(request.param)
    yield found
    found.end_kernels()


@pytest.fixture
def open_notebook(server: Server, open_window: Open) -> Open:
    """Open a notebook on the server of the front end: see `open_window`."""
    return open_window


@pytest.fixture(scope="session")
def pages() -> List[Any]:
    """Pages that no test uses now.

    A page loads a front end for the second time at half the cost: it has compiled its scripts.
    """
    return []


@pytest.fixture
def open_window(chromium: Any, pages: List[Any], request: pytest.FixtureRequest) -> Iterator[Open]:
    """Open a notebook of these cells in a window of its own: ``open_notebook(server, *cells)``.

    Without cells the notebook ``name`` is opened as it is. ``before(page)`` is called first, with a
    page that no other test gets.
    """
    windows: List[Window] = []
    used: List[Any] = []
    own: List[Any] = []

    def opened(
        server: Server,
        *cells: str,
        minor: int = 5,
        name: str = "",
        before: Optional[Callable[[Any], Any]] = None,
        kernel: str = "python3",
    ) -> Window:
        stem = name or "".join(c if c.isalnum() else "-" for c in request.node.name)
        path = server.folder / f"{stem}.ipynb"
        if cells:
            spec = {**KERNEL["kernelspec"], "name": kernel}
            notebook(path, *cells, minor=minor, kernelspec=spec)
        reuse = pages and not before
        page = pages.pop() if reuse else chromium.new_context(viewport=VIEWPORT).new_page()
        used.append(page)
        if before:
            own.append(page)
            before(page)
        window = Window(server, page, Path(path))
        windows.append(window)
        as_it_says(window)
        return window

    yield opened
    for window in windows:
        window.leave()
    for page in used:
        if page in own or not _is_left(page):
            page.context.close()
        else:
            pages.append(page)


def _is_left(page: Any) -> bool:
    """Leave the notebook, and what the test has opened and stored; false where the page is dead."""
    try:
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
        page.goto("about:blank")
        for other in page.context.pages:
            if other != page:
                other.close()
        page.context.clear_cookies()
    except Exception:  # playwright's own, of a page that was killed
        return False
    return True


def as_it_says(window: Window) -> None:
    """The page has what its server's kind promises, so that no test passes on another kind."""
    rooms = [url for url in window.sockets if "/api/collaboration/room" in url]
    together = window.js("return app.listPlugins().filter(id => /collab|docprovider/.test(id))")
    assert bool(rooms) == bool(together) == window.server.collaboration, (rooms, together)
    assert window.js("return app.hasPlugin('colab-magics:plugin')") == window.server.extension
