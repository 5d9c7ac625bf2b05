"""A version that is loaded stays loaded: the kernel knows what only a restart brings."""

from __future__ import annotations

import importlib
import sys
from typing import Iterator

import pytest

from colab_magics.pin.loaded import STALE, Stale, loaded_versions, mark, restart, stale

from .conftest import Distribution

#: Two modules of version 1.0 are loaded, and 2.0 is installed.
TWO = Stale("1.0", "2.0")

pytestmark = pytest.mark.usefixtures("nothing_stale")


@pytest.fixture
def loaded(distribution: Distribution) -> Iterator[str]:
    """A distribution with three modules, of which two are loaded; its canonical name."""
    files = {"demo_mod/__init__.py": "", "demo_mod/sub.py": "", "demo_other.py": ""}
    distribution("Demo.Thing", "2.0", files=files)
    importlib.import_module("demo_mod.sub")
    yield "demo-thing"
    for name in ("demo_mod", "demo_mod.sub"):
        del sys.modules[name]


def test_loaded_modules_count_for_their_distribution(
    loaded: str, distribution: Distribution
) -> None:
    """Each distribution owns the loaded modules that its record names; others are left out."""
    distribution("not-loaded", "1.0", files={"demo_not_loaded.py": ""})
    distribution("no-record", "1.0").joinpath("RECORD").unlink()
    found = loaded_versions()
    assert found[loaded] == "2.0"
    assert not {"not-loaded", "no-record"} & found.keys()


def test_a_module_without_a_file_is_no_trouble(
    loaded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people put into ``sys.modules`` by hand, None even, does not stop the question."""
    monkeypatch.setitem(sys.modules, "demo_none", None)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "demo_odd", object())  # type: ignore[arg-type]
    assert loaded_versions()[loaded] == "2.0"


def test_a_changed_distribution_that_is_loaded_is_stale(loaded: str) -> None:
    """The version that is loaded and the one that is installed are remembered, by name."""
    mark({loaded: ("1.0", "2.0")}, [loaded], loaded_versions())
    assert stale([loaded]) == {loaded: TWO}
    assert stale(["another"]) == {}


def test_what_is_not_loaded_is_not_stale(loaded: str, distribution: Distribution) -> None:
    """A change of something that nobody has imported, or a first installation, needs no restart."""
    distribution("not-loaded", "2.0", files={"demo_not_loaded.py": ""})
    mark(
        {"not-loaded": ("1.0", "2.0"), loaded: ("", "2.0")},
        ["not-loaded", loaded],
        loaded_versions(),
    )
    assert stale(["not-loaded", loaded]) == STALE == {}


def test_a_new_version_in_front_of_the_loaded_one_is_stale() -> None:
    """The loaded one is in another folder, such as the system's, where nothing is installed."""
    mark({"demo-thing": ("", "2.0")}, ["demo-thing"], {"demo-thing": "1.0"})
    assert stale(["demo-thing"]) == {"demo-thing": Stale("1.0", "2.0")}


def test_what_came_with_a_pin_makes_that_pin_stale(loaded: str) -> None:
    """A dependency that changed under a loaded module is the matter of the pin that did it."""
    mark({loaded: ("1.0", "2.0")}, ["asked-for"], loaded_versions())
    assert stale(["asked-for"]) == {loaded: TWO}
    assert stale(["another"]) == {}


def test_changing_again_keeps_the_version_that_is_loaded(loaded: str) -> None:
    """However often it is changed, the old version is the one that the kernel runs."""
    mark({loaded: ("1.0", "1.5")}, [loaded], loaded_versions())
    mark({loaded: ("1.5", "2.0")}, [loaded], loaded_versions())
    assert stale([loaded]) == {loaded: TWO}


def test_putting_back_the_loaded_version_needs_no_restart(loaded: str) -> None:
    """The kernel runs what is installed again: it is stale no more."""
    mark({loaded: ("1.0", "2.0")}, [loaded], loaded_versions())
    mark({loaded: ("2.0", "1.0")}, [loaded], loaded_versions())
    assert stale([loaded]) == STALE == {}


def test_the_root_of_a_namespace_is_nobodys(distribution: Distribution) -> None:
    """A loaded file that two distributions bring makes neither of them loaded."""
    for name in ("ns-one", "ns-two"):
        distribution(name, "1.0", files={"demo_ns/__init__.py": "", f"demo_{name[3:]}.py": ""})
    importlib.import_module("demo_ns")
    try:
        assert not {"ns-one", "ns-two"} & loaded_versions().keys()
    finally:
        del sys.modules["demo_ns"]


def test_what_only_the_old_version_had_counts(loaded: str, distribution: Distribution) -> None:
    """A loaded module that the new version has no more asks for a restart all the same."""
    before = loaded_versions()
    distribution("Demo.Thing", "3.0", files={"demo_renamed.py": ""})
    mark({loaded: ("2.0", "3.0")}, [loaded], before)
    assert stale([loaded]) == {loaded: Stale("2.0", "3.0")}


def test_a_restart_is_explained_in_two_short_lines() -> None:
    """However many packages are behind: what is so, then what to do."""
    many = {f"package-{at}": Stale("1.0", "2.0") for at in range(40)}
    for behind in (dict([*many.items()][:1]), dict([*many.items()][:2]), many):
        error = restart(behind)
        assert error.packages == tuple(behind)
        lines = str(error).splitlines()
        assert len(lines) == 2 and max(map(len, lines)) < 120
    gone = restart({"tinypkg": Stale("1.0", "")})
    assert gone.message == "tinypkg is removed; this kernel still uses 1.0."
