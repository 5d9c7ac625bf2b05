"""What an installation is about to do, said before it is done: real installers, on loopback."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

import pytest
from doubles import nvml
from doubles.index import make_wheel
from doubles.watched import Watched
from test_install import Notebook, Serve, make, notebook, serve, wheels
from test_pin_options import SECRET, either, names, project

from colab_magics.core.display import amount

__all__ = ["either", "make", "notebook", "project", "serve", "wheels"]

#: What installers do is the same under every IPython; `test_install` runs in all versions.
pytestmark = pytest.mark.once

#: Installs as the magic does, and prints the reports that are shown meanwhile.
SHOWN = """
import json
from colab_magics.extension.session import get_session
from colab_magics.core.steps import parse
said = []
step = parse("pin", {words!r})
outcome = step.apply(get_session(get_ipython()).host, said.append)
print(json.dumps([[str(one) for one in said if not isinstance(one, str)], outcome.hint]))
"""


@pytest.fixture
def index(serve: Serve, wheels: Path) -> Watched:
    """An index that says how large its files are."""
    return serve(wheels, sizes=True)


def shown(found: Notebook, *words: str) -> Tuple[List[str], str]:
    """The reports that are shown while these words are installed, and what is said at the end."""
    reports, hint = json.loads(found.child(SHOWN.format(words=list(words))))
    return reports, hint


def journals(found: Notebook) -> List[str]:
    """What is kept of installations, but for the lock."""
    folder = found.machine.python.parent.parent / ".colab-magics"
    return [path.name for path in folder.glob("*") if path.suffix != ".lock"]


def test_a_dry_run_shows_the_table(either: Notebook, wheels: Path) -> None:
    """Each package of the plan with its versions, by uv its size; nothing is changed or kept."""
    by_pip = "PIP_SRC" in either.variables
    either.child("%pin --no-record tinypkg==2.0")
    before, kept = either.machine.installed(), journals(either)
    answer = either.child.attempt("%pin --dry-run tinyparent==1.0")
    size = {
        name: (wheels / f"{name}-1.0-py3-none-any.whl").stat().st_size
        for name in ("tinyparent", "tinypkg")
    }
    expected = [
        "Nothing was changed. Would install 2 packages:",
        "package     installed  wanted",
        "tinyparent             1.0",
        "tinypkg     2.0        1.0",
    ]
    assert answer.shown.splitlines() == (
        expected
        if by_pip
        else [
            f"Nothing was changed. Would install 2 packages ({amount(sum(size.values()))}):",
            "package     installed  wanted  download",
            f"tinyparent             1.0     {amount(size['tinyparent'])}",
            f"tinypkg     2.0        1.0     {amount(size['tinypkg'])}",
        ]
    )
    assert either.machine.installed() == before
    assert answer.steps == [] and journals(either) == kept and either.left_over() == []


def test_a_plan_of_one_package_is_one_line(notebook: Notebook) -> None:
    """No table for one package."""
    notebook.child("%pin tinypkg==1.0")
    shown = notebook.child("%pin --dry-run tinypkg==2.0").rstrip()
    message = r"Nothing was changed\. Would install tinypkg 2\.0 \(was 1\.0, \d+ B\)"
    assert re.fullmatch(message, shown)


def test_what_is_in_the_cache_is_not_downloaded(notebook: Notebook) -> None:
    """What was fetched before has no download in the plan."""
    notebook.child("%pin tinyparent==1.0\n%pin tinyparent==2.0")
    said = notebook.child("%pin --dry-run tinyparent==1.0")
    assert said.startswith("Nothing was changed. Would install 2 packages:\n")
    assert said.count("in the cache") == 2


def test_a_dry_run_of_what_holds_asks_nobody(notebook: Notebook, index: Watched) -> None:
    """What holds is said in-process: no index is asked."""
    notebook.child("%pin tinypkg==1.0")
    index.asked.clear()
    assert "already installed" in notebook.child("%pin --dry-run tinypkg==1.0")
    assert index.asked == []


def test_a_dry_run_without_the_index(make: Callable[..., Notebook]) -> None:
    """Where no index answers, what differs is said all the same, and why there is no plan."""
    found = make(PIP_INDEX_URL="http://127.0.0.1:9/simple/")
    first, second, _ = found.child("%pin --dry-run tinypkg==1.0").splitlines()
    assert first == "Nothing was changed. tinypkg is not installed"
    assert "127.0.0.1 cannot be reached" in second


def test_a_dry_run_says_why_it_would_fail(notebook: Notebook) -> None:
    """A conflict, in uv's own words, and the kernel's machinery are told by the dry run already."""
    said = notebook.child("%pin --dry-run tinyparent==1.0 tinypkg==2.0")
    assert "depends on tinypkg==1.0" in said and "tinypkg==2.0" in said
    assert "runs this kernel" in notebook.child("%pin --dry-run tinygreedy==1.0")
    assert "runs this kernel" in notebook.child("%pin --dry-run tornado==0.1")


def test_an_index_with_a_password_says_sizes(
    make: Callable[..., Notebook], serve: Serve, wheels: Path
) -> None:
    """The plan of a private index has sizes, and nothing in it is secret."""
    private = serve(wheels, user=SECRET, sizes=True)
    clean = private.url.replace(f"{SECRET}@", "")
    line = f"%pin --dry-run tinyparent==1.0 --index-url {clean} --index-auth MY_INDEX"
    said = make(MY_INDEX=SECRET).child(line)
    assert re.search(r"Would install 2 packages \(.*B\):", said)
    assert "hunter2" not in said


def test_an_index_without_sizes(make: Callable[..., Notebook], serve: Serve, wheels: Path) -> None:
    """An index that says no size: the table is without that column."""
    said = make(PIP_INDEX_URL=serve(wheels).url).child("%pin --dry-run tinyparent==1.0")
    first, second = said.splitlines()[:2]
    assert first.endswith("Would install 2 packages:") and second.split()[-1] == "wanted"


def test_the_plan_is_shown_before_it_is_done(notebook: Notebook, wheels: Path) -> None:
    """While uv works the table stands there; what it fetches has its size, by uv's own word."""
    make_wheel(wheels, "tinylarge", "1.0", {"tinylarge.py": "#" * 3_000_000}, ["tinypkg==1.0"])
    notebook.child("%pin --no-record tinypkg==2.0")
    tables, _ = shown(notebook, "tinylarge==1.0")
    assert tables[-1].splitlines() == [
        "Installing 2 packages (at least 3.0 MB):",
        "package    installed  wanted  download",
        "tinylarge             1.0     3.0 MB",
        "tinypkg    2.0        1.0",
    ]
    assert names(notebook) == {"tinylarge": "1.0", "tinypkg": "1.0"}


def test_a_plan_costs_no_request(notebook: Notebook, index: Watched) -> None:
    """An installation asks the index for each page once: its plan is a by-product."""
    shown(notebook, "tinyparent==1.0")
    pages = [path for path in index.asked if path.startswith("/simple/tiny")]
    assert sorted(pages) == ["/simple/tinyparent/", "/simple/tinypkg/"]


def test_a_folder_that_is_edited(
    either: Notebook, project: Callable[[Path], None], index: Watched
) -> None:
    """The plan has an editable folder too, by its version where that is known."""
    start = Path(either.child("import os; print(os.getcwd())").strip())
    project(start / "mine")
    said = either.child("%pin --dry-run -e mine tinypkg==1.0")
    assert re.match(r"Nothing was changed\. Would install 2 packages\b.*:", said)
    assert re.search(r"^tinylocal +(1\.0|from mine)$", said, flags=re.M), said
    assert names(either) == {}


# ---------------------------------------------------------------------- CUDA builds
@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the double of NVML."""
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere: the NVML double is a Linux shared library")
    try:
        yield nvml.build(tmp_path_factory.mktemp("nvml"))
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def on(
    make: Callable[..., Notebook], index: Watched, wheels: Path, library: Path
) -> Callable[[str], Notebook]:
    """A notebook on a machine with a GPU; its index has torch for CUDA 12.8 and for 13.0."""
    make_wheel(wheels, "torch", "2.8.0", requires=["nvidia-cuda-runtime-cu12==12.8.90"])
    make_wheel(wheels, "torch", "2.10.0", requires=["nvidia-cuda-runtime==13.0.48"])
    make_wheel(wheels, "nvidia-cuda-runtime-cu12", "12.8.90")
    make_wheel(wheels, "nvidia-cuda-runtime", "13.0.48")

    def start(scenario: str) -> Notebook:
        variables = nvml.environment(library, scenario)
        kept = ("LD_LIBRARY_PATH", "FAKE_NVML")
        return make(PIP_INDEX_URL=index.url, **{name: variables[name] for name in kept})

    return start


def test_a_build_for_a_newer_cuda(on: Callable[[str], Notebook]) -> None:
    """A newer major version than the driver's is told with the plan, and still at the end."""
    found = on("t4")
    line = (
        "torch 2.10.0 is built for CUDA 13.0; this driver (550.54.14) runs up to 12.4: "
        "take --torch-backend cu126"
    )
    assert line in found.child("%pin --dry-run torch==2.10.0").splitlines()
    tables, hint = shown(found, "torch==2.10.0")
    assert line in tables[0].splitlines() and hint == line


def test_a_build_within_the_major_version(on: Callable[[str], Notebook]) -> None:
    """A newer minor version of the same major one runs: nothing is said."""
    found = on("t4")
    assert "CUDA" not in found.child("%pin --dry-run torch==2.8.0")
    assert "CUDA" not in found.child("%pin torch==2.8.0")


@pytest.mark.parametrize("scenario", ["notloaded", "mismatch"])
def test_a_driver_that_does_not_answer(on: Callable[[str], Notebook], scenario: str) -> None:
    """Where the driver is there and says nothing, nothing is guessed."""
    said = on(scenario).child("%pin --dry-run torch==2.10.0")
    assert "CUDA" not in said and "GPU" not in said
