"""A version that is loaded stays loaded: the kernel knows what only a restart brings."""

from __future__ import annotations

import importlib
import sys
from typing import Iterator

import pytest

from colab_magics.pins.loaded import STALE, mark, owned, stale

from .conftest import Distribution

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


def test_loaded_modules_are_counted_for_their_distribution(
    loaded: str, distribution: Distribution
) -> None:
    """Each distribution owns the loaded modules that its record names; others are left out."""
    distribution("not-loaded", "1.0", files={"demo_not_loaded.py": ""})
    distribution("no-record", "1.0").joinpath("RECORD").unlink()
    assert owned([loaded, "not-loaded", "no-record", "absent"]) == {loaded: 2}


def test_a_module_without_a_file_is_no_trouble(
    loaded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people put into ``sys.modules`` by hand, None even, does not stop the question."""
    monkeypatch.setitem(sys.modules, "demo_none", None)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "demo_odd", object())  # type: ignore[arg-type]
    assert owned([loaded]) == {loaded: 2}


def test_a_changed_distribution_that_is_loaded_is_stale(loaded: str) -> None:
    """The version that is loaded and the one that is installed are remembered, by name."""
    mark({loaded: ("1.0", "2.0")}, [loaded])
    assert stale([loaded]) == {loaded: ("1.0", "2.0")}
    assert stale(["another"]) == {}


def test_what_is_not_loaded_is_not_stale(loaded: str, distribution: Distribution) -> None:
    """A change of something that nobody has imported, or a first installation, needs no restart."""
    distribution("not-loaded", "2.0", files={"demo_not_loaded.py": ""})
    mark({"not-loaded": ("1.0", "2.0"), loaded: ("", "2.0")}, ["not-loaded", loaded])
    assert stale(["not-loaded", loaded]) == STALE == {}


def test_what_came_with_a_pin_makes_that_pin_stale(loaded: str) -> None:
    """A dependency that changed under a loaded module is the matter of the pin that did it."""
    mark({loaded: ("1.0", "2.0")}, ["asked-for"])
    assert stale(["asked-for"]) == {loaded: ("1.0", "2.0")}
    assert stale(["another"]) == {}


def test_changing_again_keeps_the_version_that_is_loaded(loaded: str) -> None:
    """However often it is changed, the old version is the one that the kernel runs."""
    mark({loaded: ("1.0", "1.5")}, [loaded])
    mark({loaded: ("1.5", "2.0")}, [loaded])
    assert stale([loaded]) == {loaded: ("1.0", "2.0")}


def test_putting_back_the_loaded_version_needs_no_restart(loaded: str) -> None:
    """The kernel runs what is installed again: it is stale no more."""
    mark({loaded: ("1.0", "2.0")}, [loaded])
    mark({loaded: ("2.0", "1.0")}, [loaded])
    assert stale([loaded]) == STALE == {}
