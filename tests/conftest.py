"""What all tests share: a home of their own, and interpreters that are really there."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

import pytest

from colab_magics.core.redact import forget_secrets
from colab_magics.pin import journal

# Whoever starts the tests in the background has set signals to be ignored, and what they start
# would ignore Ctrl-C too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: In CI a part that could have been installed and is missing is a failure, not a skip.
STRICT = bool(os.environ.get("COLAB_MAGICS_STRICT"))

#: Suites that run in the newest version alone.
NEWEST_ALONE = {"attacks", "faults"}
#: What does not depend on the version of Python or IPython: the first test of each of these files
#: runs in every version, the others in the newest.
SAME_IN_EACH = {
    "unit": "recipe settings",
    "shell": (
        "apt fetch fetch_ahead full_disk github_badge github_clone github_save gpu gpu_cost "
        "gpu_real jobs lost_cd session shell status"
    ),
    "kernel": "checkpoint_notebooks freeze github gpu session shapes undo",
    "integration": (
        "apt fatbin github_install killed nvml_double options pin_options plan project rclone"
    ),
}


#: With pip too, and not with uv alone, each of these is tried always; the others with ``--long``.
PIP_TOO = {
    "test_as_of": {"test_the_versions_of_the_day"},
    "test_options": {
        "test_a_wrong_password",
        "test_a_constraint_that_excludes_the_pin",
        "test_hashes_of_a_file_are_checked",
        "test_what_pulls_at_the_kernel_is_named",
    },
    "test_pin_options": {
        "test_a_pre_release_only_when_asked_for",
        "test_undo_asks_where_the_line_from_before_asked",
        "test_an_index_with_a_secret_by_its_name",
        "test_an_editable_folder",
    },
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="all rounds of the long tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Mark what runs once, in the newest version."""
    begun: Set[Path] = set()
    for item in items:
        suite, *rest = item.path.relative_to(config.rootpath / "tests").parts
        name = rest[-1][len("test_") : -len(".py")] if rest else ""
        same = name in SAME_IN_EACH.get(suite, "").split()
        if suite in NEWEST_ALONE or (same and item.path in begun):
            item.add_marker(pytest.mark.once)
        begun.add(item.path)
    if not config.getoption("--long"):
        left_out = [item for item in items if _is_for_long(item)]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def _is_for_long(item: Any) -> bool:
    names = PIP_TOO.get(item.path.stem)
    parameters = getattr(item, "callspec", None)
    if item.get_closest_marker("long"):
        return True
    if names is None or parameters is None or "pip" not in parameters.id.split("-"):
        return False
    return item.originalname not in names


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """With ``--strict`` a skip fails, unless its reason says that the test runs elsewhere."""
    outcome: Any = yield
    report = outcome.get_result()
    if STRICT and report.skipped and isinstance(report.longrepr, tuple):
        reason = str(report.longrepr[2]).replace("Skipped: ", "")
        if not reason.startswith("elsewhere:"):
            report.outcome, report.longrepr = "failed", f"skipped in CI: {reason}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A table of the suites of attacks and faults: of each subject how many were tried and held."""
    table: Dict[str, List[int]] = {}
    for state in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(state):
            subject = report.nodeid.split("::")[0]
            if not subject.startswith(("tests/attacks/", "tests/faults/")):
                continue
            if report.when != "call" and state == "passed":
                continue
            noted = dict(getattr(report, "user_properties", ()))
            tried, held = noted.get("held", (1, int(state == "passed")))
            row = table.setdefault(subject[len("tests/") : -len(".py")], [0, 0])
            row[0] += tried
            row[1] += held
    if table:
        terminalreporter.section("attacks and faults: tried, held")
        for subject, (tried, held) in sorted(table.items()):
            terminalreporter.line(f"{subject:<36}{tried:>8}{held:>8}")
    properties = [x for r in terminalreporter.getreports("passed") for x in r.user_properties]
    _write_checkpoints(terminalreporter, [x[1] for x in properties if x[0] == "checkpoint"])


def _write_checkpoints(reporter: Any, rows: List[Dict[str, Any]]) -> None:
    """Of notebooks that went on: what there was and came back; seconds until then, and anew."""
    if not rows:
        return
    reporter.section("checkpoints: cells, variables, bytes, seconds to go on and to run again")
    kinds = ("variables", "bytes", "seconds")
    total = {kind: [sum(row[kind][at] for row in rows) for at in (0, 1)] for kind in kinds}
    for row in [*rows, {"name": "all", "done": "", "lost": (), **total}]:
        (there, back), (size, kept), (ready, again) = (row[kind] for kind in kinds)
        line = f"{row['name']:<14}{row['done']:>6}{back:>6}/{there:<6}{kept:>12,}/{size:<12,}"
        reporter.line(f"{line}{ready:>8.1f}{again:>8.1f}  {' '.join(row['lost'])}")


@pytest.fixture
def held(record_property: Callable[[str, object], None]) -> Callable[[int, int], None]:
    """Tell the table how many attacks or faults a test tried and how many held: ``held(8, 8)``.

    A test that never calls it counts as one.
    """

    def count(tried: int, good: int) -> None:
        pair: Tuple[int, int] = (tried, good)
        record_property("held", pair)

    return count


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to run all rounds of a long test."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser for all the tests."""
    from support.window import CHROMIUM

    driver = pytest.importorskip("playwright.sync_api", reason="elsewhere: no browser")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("Chromium is not installed")
    with driver.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(autouse=True)
def home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """An empty home, and a working directory in it, so that no test touches the user's own.

    The environment is afterwards as it was, also where a cell of the test has changed it.
    """
    before = dict(os.environ)
    folder = tmp_path_factory.mktemp("home")
    work = folder / "work"
    work.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("IPYTHONDIR", str(folder / ".ipython"))
    for name in ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "BINDER_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(work)
    # Tests that install nothing share one environment; each has a journal of its own.
    monkeypatch.setattr(journal, "_place", lambda kind: folder / f"pins.{kind}")
    yield folder
    forget_secrets()  # or they would be hidden in what the next test shows
    for name in os.environ.keys() - before.keys() - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    before.pop("PYTEST_CURRENT_TEST", None)
    os.environ.update(before)
