"""What is installed is asked of Python itself, on folders as installers leave them."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Optional

import pytest

from colab_magics.pin.environment import find, head, source_of, versions, why_not
from colab_magics.pin.requirements import requirement

from .conftest import Distribution

COMMIT = "0123abcdef" * 4
URL = "https://example.org/demo.git"


def origin(**more: Any) -> str:
    """The text of a ``direct_url.json``."""
    return json.dumps({"url": URL, **more})


def cloned(revision: Optional[str] = None) -> str:
    """The same for a clone, at a revision that was asked for."""
    info = {"vcs": "git", "commit_id": COMMIT}
    return origin(vcs_info={**info, "requested_revision": revision} if revision else info)


def reason(text: str) -> Optional[str]:
    """Why a requirement does not hold."""
    return why_not(requirement(text))


@pytest.mark.parametrize(
    "folder", ["zope.demo", "zope_demo", "Zope.Demo", "zope-demo"], ids=lambda name: f"in {name}"
)
@pytest.mark.parametrize("asked", ["zope.demo", "Zope_Demo", "zope-demo", "zope--demo"])
def test_a_distribution_is_found_in_any_spelling(
    distribution: Distribution, folder: str, asked: str
) -> None:
    """Dots, dashes and case do not matter, in what is asked or in what installers wrote."""
    distribution("Zope.Demo", "1.0", folder=folder)
    found = find(asked)
    assert found is not None and found.version == "1.0"
    assert versions()["zope-demo"] == "1.0"
    assert reason(f"{asked}==1.0") is None


def test_what_is_not_installed_is_said(distribution: Distribution) -> None:
    """A name of which nothing is there is none, also where another name begins with it."""
    distribution("demo-thing-more", "1.0")
    assert find("demo-thing") is None
    assert "demo-thing" not in versions()
    assert reason("Demo_Thing") == "Demo_Thing is not installed"


def test_the_first_on_the_path_counts(
    distribution: Distribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where two copies are on ``sys.path``, the one that Python would import is the one that is."""
    distribution("demo-thing", "1.0")
    info = tmp_path / "user" / "demo_thing-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-thing\nVersion: 2.0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "user"))
    assert versions()["demo-thing"] == "2.0"
    assert reason("demo-thing==2.0") is None


def test_what_an_interrupted_installation_left_is_passed_over(
    distribution: Distribution, site: Path
) -> None:
    """A folder without metadata, or one that pip set aside, hides no distribution and is none."""
    for name in ("demo_thing-0.1.dist-info", "~emo_thing-0.2.dist-info", "other-1.0.dist-info"):
        (site / name).mkdir()
    distribution("demo-thing", "1.0")
    assert versions()["demo-thing"] == "1.0"
    assert reason("demo-thing==1.0") is None
    assert reason("other") == "other is not installed"


def test_a_finder_that_raises_where_nothing_is_said_is_no_matter() -> None:
    """The importlib_metadata package, once imported, finds what is installed, and raises there."""

    class Rest(metadata.Distribution):
        def read_text(self, filename: str) -> Optional[str]:
            return None

        def locate_file(self, path: Any) -> Path:
            return Path(path)

        @property
        def metadata(self) -> Any:
            raise FileNotFoundError("No package metadata was found.")

    assert head(Rest()) == ""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("demo-thing", None),
        ("demo-thing>=1.0,<2", None),
        ("demo-thing==1.*", None),
        ("demo-thing>=1.0rc1", None),
        ("demo-thing==2.0", "demo-thing 1.0rc2 is installed; 2.0 wanted"),
        ("Demo_Thing>1.0", "Demo_Thing 1.0rc2 is installed; >1.0 wanted"),
    ],
)
def test_a_version_is_compared_as_installers_do(
    distribution: Distribution, asked: str, expected: Optional[str]
) -> None:
    """A pre-release that is installed counts; what differs is said with both versions."""
    distribution("demo-thing", "1.0rc2")
    if asked in {"demo-thing>=1.0,<2"}:
        expected = "demo-thing 1.0rc2 is installed; <2,>=1.0 wanted"
    assert reason(asked) == expected


def test_a_local_version_meets_the_public_one(distribution: Distribution) -> None:
    """``2.4.1+cu128`` holds for ``==2.4.1``; the other way round it does not."""
    distribution("demo-thing", "2.4.1+cu128")
    assert reason("demo-thing==2.4.1") is None
    assert reason("demo-thing==2.4.1+cu121") is not None


def test_a_marker_that_does_not_apply_holds(distribution: Distribution) -> None:
    """What is not meant for this machine is not missed on it; what is, is."""
    assert reason("absent; python_version < '3'") is None
    assert reason("absent; python_version >= '3'") == "absent is not installed"


def test_extras_hold_when_what_they_need_is_there(distribution: Distribution) -> None:
    """An extra is what it adds: each of its needs on this machine, to any depth."""
    distribution(
        "demo-thing",
        "1.0",
        "Provides-Extra: fast",
        "Provides-Extra: all",
        "Requires-Dist: always-there",
        "Requires-Dist: always-too; python_version >= '3'",
        'Requires-Dist: speedup>=2; extra == "fast"',
        "Requires-Dist: never; python_version < '3' and extra == 'fast'",
        'Requires-Dist: demo-thing[fast]; extra == "all"',
    )
    assert reason("demo-thing") is None
    assert reason("demo-thing[fast]") == "demo-thing[fast]: speedup is not installed"
    assert reason("demo-thing[all]") == (
        "demo-thing[all]: demo-thing[fast]: speedup is not installed"
    )
    distribution("speedup", "2.1")
    assert reason("demo-thing[fast]") is None
    assert reason("demo-thing[all]==1.0") is None
    assert reason("demo-thing[fast,nosuch]") is None  # installers warn, and go on


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (cloned(), f"git+{URL}@{COMMIT}"),
        (origin(archive_info={}), None),
        (origin(dir_info={"editable": True}), None),
        (None, None),
    ],
)
def test_where_it_came_from(
    distribution: Distribution, text: Optional[str], expected: Optional[str]
) -> None:
    """A clone is named by its URL at the commit; what came from an index has no such name."""
    distribution("demo", "1.0", files={} if text is None else {"direct_url.json": text})
    found = find("demo")
    assert found is not None and source_of(found) == expected


@pytest.mark.parametrize(
    ("text", "asked", "holds"),
    [
        (cloned("main"), f"git+{URL}", True),
        (cloned("main"), f"git+{URL}@main", True),
        (cloned("main"), f"git+{URL}@{COMMIT}", True),
        (cloned("main"), f"git+{URL}@{COMMIT[:7]}", True),
        (cloned("main"), f"git+{URL}@{COMMIT[:6]}", False),
        (cloned("main"), f"git+{URL}@v2", False),
        (cloned(), f"git+{URL}#subdirectory=x", True),
        (cloned(), "git+https://example.org/fork.git", False),
        (cloned(), f"hg+{URL}", False),
        (cloned(), f"git+{URL.replace('//', '//me:token@')}", True),
        (origin(archive_info={"hash": "sha256=00"}), URL, True),
        (origin(archive_info={}), f"{URL}#sha256=00", True),
        (origin(archive_info={}), "https://example.org/other.git", False),
        ("", URL, False),
    ],
)
def test_a_url_holds_when_it_is_where_it_came_from(
    distribution: Distribution, text: str, asked: str, holds: bool
) -> None:
    """A URL is compared with what the installer noted (PEP 610), without passwords."""
    distribution("demo", "1.0", files={"direct_url.json": text} if text else {})
    said = None if holds else "demo 1.0 is not from the URL on the line"
    assert reason(f"demo @ {asked}") == said


def test_over_ssh_the_user_is_part_of_the_url(distribution: Distribution) -> None:
    """``git@`` is no password: the URL that was recorded is the one that holds."""
    url = "ssh://git@example.org/demo.git"
    text = json.dumps({"url": url, "vcs_info": {"vcs": "git", "commit_id": COMMIT}})
    distribution("demo", "1.0", files={"direct_url.json": text})
    found = find("demo")
    assert found is not None
    assert reason(f"demo @ {source_of(found)}") is None


def test_asking_starts_no_process_and_imports_nothing_of_it(distribution: Distribution) -> None:
    """A check reads metadata; the distribution itself is not imported."""
    distribution("demo-thing", "1.0", files={"demo_thing.py": "raise SystemExit"})
    assert reason("demo-thing==1.0") is None
    assert "demo_thing" not in sys.modules
