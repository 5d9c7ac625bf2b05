"""The plan of an installation: what installers print, and the table that is made of it."""

from __future__ import annotations

from typing import List

import pytest

from colab_magics.core.display import Report, amount
from colab_magics.pin.plan import Item, Plan, PlanWatch, add_sizes, table
from colab_magics.pin.uv import Uv

#: What uv prints of an installation, piece by piece.
RESOLVED = ["Using Python 3.11.7 environment at: here", "Resolved 4 packages in 12ms"]
TOLD = [
    "DEBUG Requirement installed, but mismatched:",
    '  Installed: InstalledDist { kind: "tinynum==1.0" }',
    "  Requested: Registry { specifier: }",
    "DEBUG Identified uncached distribution: tinynum==2.1.3",
    "DEBUG Requirement already installed: six==1.17.0",
    "DEBUG Registry requirement already cached: tinypan==2.2.3",
    "DEBUG Identified uncached distribution: local @ file:///home/me/local",
    "DEBUG Unnecessary package: scipy==1.17.1",
]
FETCHES = ["Downloading tinynum (15.6MiB)", " Downloaded tinynum"]


def read(*lines: str) -> Plan:
    return Uv().read_plan(lines)


def test_what_uv_says_is_the_plan() -> None:
    """What is to be fetched and what is cached; what stays is not in it."""
    assert read(*RESOLVED, *TOLD) == {
        "tinynum": Item("tinynum", "2.1.3"),
        "tinypan": Item("tinypan", "2.2.3", cached=True),
        "local": Item("local", "from local"),
    }


def test_where_a_version_comes_from() -> None:
    """What has no version yet is named by its host or its folder alone: URLs hold secrets."""
    url = "git+https://****@example.org/x@v1?token=hunter2"
    told = f"DEBUG Identified uncached distribution: demo @ {url}"
    assert read(*RESOLVED, told) == {"demo": Item("demo", "from example.org")}


def test_sizes_and_versions_come_later() -> None:
    """What is fetched has the size that uv says; what a URL brought, its version."""
    plan = read(*RESOLVED, *TOLD, *FETCHES, " + local==1.0 (from file:///home/me/local)")
    assert plan["tinynum"].size == round(15.6 * 1024**2)
    assert plan["local"].version == "1.0"


def test_environments_of_builds_are_not_in_the_plan() -> None:
    """What uv installs only to build a package with is not installed here."""
    build = "DEBUG Identified uncached distribution: setuptools==80.0"
    plan = read(build, *RESOLVED, *TOLD, "   Building local @ file:///home/me/local", build)
    assert "setuptools" not in plan and "tinynum" in plan


def test_no_plan_without_a_resolution() -> None:
    """What fails before it is resolved has no plan."""
    assert read("error: No solution found when resolving dependencies") == {}


def watched(lines: List[str]) -> List[str]:
    shown: List[str] = []
    uv = Uv()
    watch = PlanWatch(uv.read_plan, lambda plan: shown.append(table(plan, ["tinynum"], {}).text()))
    for line in lines:
        watch.add(line, uv.is_debug(line))
    return shown


def test_the_plan_is_shown_once_it_is_whole() -> None:
    """Not while uv is still telling it, and again only where it has changed."""
    assert watched([*RESOLVED, *TOLD]) == []
    first, second = watched([*RESOLVED, *TOLD, "Preparing", *FETCHES, *FETCHES])
    assert first.startswith("Installing 3 packages:\n")
    assert second.startswith("Installing 3 packages (at least 16.4 MB):\n")


def test_a_table_never_costs_an_installation() -> None:
    """Whatever goes wrong with the plan, the installer is heard to its end."""

    def fails(plan: Plan) -> None:
        raise OSError("no driver")

    watch = PlanWatch(Uv().read_plan, fails)
    for line in [*RESOLVED, *TOLD, *FETCHES]:
        watch.add(line, Uv().is_debug(line))


def test_sizes_are_those_of_the_only_file() -> None:
    """Of a wheel, else of the sources; not of a file of this machine, nor of one of several."""
    plan = {name: Item(name, "1") for name in ("a", "b", "c", "d", "e")}
    web, own = "{url = 'https://x/f'", "{path = 'f'"
    pylock = "\n".join(
        f"[[packages]]\nname = '{name}'\n{files}"
        for name, files in {
            "a": f"wheels = [{web}, size = 3}}]\nsdist = {web}, size = 5}}",
            "b": f"sdist = {web}, size = 7}}",
            "c": f"wheels = [{own}, size = 3}}]",
            "d": f"wheels = [{web}, size = 3}}, {web}, size = 5}}]",
            "e": f"wheels = [{web}}}]",
        }.items()
    )
    sized = add_sizes(plan, pylock)
    assert [item.size for item in sized.values()] == [3, 7, None, None, None]


def test_the_table() -> None:
    """What was asked for first, then what replaces another version, then what is largest."""
    here = {"other": "1.0"}
    plan = {
        item.name: item
        for item in (
            Item("small", "1.0", size=900),
            Item("large", "1.0", size=2_500_000_000),
            Item("other", "2.0", cached=True),
            Item("asked", "3.0", size=1_250_000),
        )
    }
    assert table(plan, ["asked", "absent"], here, ["a note"]) == Report(
        ("Installing 4 packages (2.5 GB):", "a note"),
        (
            ("asked", "", "3.0", "1.2 MB"),
            ("other", "1.0", "2.0", "in the cache"),
            ("large", "", "1.0", "2.5 GB"),
            ("small", "", "1.0", "900 B"),
        ),
        head=("package", "installed", "wanted", "download"),
    )


def test_a_long_table_is_cut() -> None:
    """Twelve rows below the head; the others are counted."""
    plan = {f"p{n:02}": Item(f"p{n:02}", "1.0") for n in range(40)}
    shown = table(plan, ["p39"], {})
    assert len(shown.rows) == 12 and shown.rows[0][0] == "p39"
    assert shown.after == ("and 28 more",)
    assert shown.lines == ("Installing 40 packages:",)


def test_unknown_sizes_are_not_guessed() -> None:
    """A sum of which a part is unknown says so; one of which nothing is known is not said."""
    known, unknown = Item("a", "1", size=5_000_000), Item("b", "1")
    assert table({"a": known, "b": unknown}, ["a"], {}).lines[0].endswith("(at least 5.0 MB):")
    assert table({"b": unknown}, ["b"], {}, verb="Would install").text() == "Would install b 1"


def test_nothing_to_do() -> None:
    """An empty plan is a line of its own."""
    assert table({}, ["a"], {}).text() == "Installing nothing"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1e3, "1.0 kB"), (18.24e6, "18.2 MB")]
)
def test_amounts(size: float, text: str) -> None:
    """Bytes in powers of ten, as indexes and pip say them."""
    assert amount(size) == text
