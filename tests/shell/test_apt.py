"""``%apt`` in a shell, as far as dpkg's database alone decides; see also integration."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
from support.cells import Cells

from colab_magics.apt import dpkg
from colab_magics.apt.step import parse
from colab_magics.core.errors import SourceError
from colab_magics.extension.session import get_session

Database = Callable[..., None]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Make packages seem to be in dpkg's database: ``name state version arch provides``."""
    status = tmp_path / "dpkg" / "status"
    status.parent.mkdir()
    status.write_text("")
    monkeypatch.setattr(dpkg, "STATUS", status)

    def add(
        name: str,
        state: str = "install ok installed",
        version: str = "1:2-3",
        arch: str = "amd64",
        provides: str = "",
        file: str = "status",
    ) -> None:
        more = f"Provides: {provides}\n" if provides else ""
        path = status.parent / file
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as stream:
            stream.write(
                f"Package: {name}\nStatus: {state}\nArchitecture: {arch}\nVersion: {version}\n"
                f"{more}Description: a\n Package: other\n\n"
            )

    return add


def state(run: Cells, line: str) -> str:
    """Whether a line holds, and the message: ``ok: ...``."""
    step = parse(line.split())
    assert step is not None
    verdict = step.check(get_session(run.shell).host)
    return f"{verdict.state}: {verdict.message}"


def test_what_is_there_starts_nothing(
    run: Cells, database: Database, nothing_starts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What dpkg has holds: no process, no network; the line is remembered with its version."""
    database("ffmpeg", version="7:5.1")
    database("sox")
    assert run("%apt ffmpeg").startswith("1 package is already installed")
    (line,) = run.steps()
    assert line.split("#")[0].rstrip() == "%apt ffmpeg" and line.endswith("# ffmpeg 7:5.1")
    assert run("%apt install sox ffmpeg").startswith("2 packages are already installed")
    assert len(run.steps()) == 1 and "sox" in run.steps()[0]
    shown = run("%apt")
    assert [line.split()[:2] for line in shown.split("\n")[1:]] == [["ok", "ffmpeg"], ["ok", "sox"]]


@pytest.mark.parametrize(
    ("stands", "holds"),
    [
        ("install ok installed", True),
        ("hold ok installed", True),
        ("install ok triggers-pending", True),
        ("install reinstreq installed", False),
        ("install ok unpacked", False),
        ("install ok half-configured", False),
        ("install reinstreq half-installed", False),
        ("deinstall ok config-files", False),
    ],
)
def test_states(run: Cells, database: Database, stands: str, holds: bool) -> None:
    """Held back counts as installed; half-installed, or removed but for its settings, does not."""
    database("tool", stands)
    assert state(run, "tool").startswith("ok" if holds else "differs: tool is not installed")


def test_versions(run: Cells, database: Database) -> None:
    """A version is compared whole, or to its ``*``; what is there instead is said."""
    database("tool", version="1:2-3")
    assert state(run, "tool=1:2-3").startswith("ok")
    assert state(run, "tool=1:2*").startswith("ok")
    assert state(run, "tool=1:2") == "differs: tool 1:2-3 is installed; 1:2 wanted"


def test_virtual_packages(run: Cells, database: Database) -> None:
    """A name that an installed package provides holds, with the version that it says."""
    database("nawk-like", provides="awk, shell:any (= 7)")
    database("gone", "deinstall ok config-files", provides="mail")
    assert state(run, "awk shell=7").startswith("ok: 2 packages")
    assert state(run, "shell=8").startswith("differs")
    assert state(run, "mail").startswith("differs")


def test_architectures(run: Cells, database: Database, tmp_path: Path) -> None:
    """The machine's own is meant where none is typed; what is for all is for each."""
    (tmp_path / "dpkg" / "arch").write_text("amd64\ni386\n")
    database("lib", arch="i386")
    database("data", arch="all")
    assert state(run, "lib").startswith("differs")
    assert state(run, "lib:amd64").startswith("differs")
    assert state(run, "lib:i386").startswith("ok")
    assert state(run, "data data:i386").startswith("ok")


def test_what_dpkg_was_cut_off_at_counts(run: Cells, database: Database) -> None:
    """What dpkg has noted and not put into its database yet is later than the database."""
    database("tool")
    database("tool", "install ok half-configured", file="updates/0001")
    assert state(run, "tool").startswith("differs")


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("../x", "package-name", "'../x' is not the name of a package."),
        ("-y", "unknown-option", "%apt has no option -y."),
        ("--dry-rum x", "unknown-option", "%apt has no option --dry-rum. Did you mean --dry-run?"),
        ("tool-", "package-name", "'tool-' is not the name of a package."),
        ("Tool", "package-name", "'Tool' is not the name of a package."),
        ("a=b=c", "package-name", "'a=b=c' is not the name of a package."),
        ("'tool=1 2'", "package-name", "'tool=1 2' is not the name of a package."),
        ("x*", "package-name", "'x*' is not the name of a package."),
    ],
)
def test_what_is_no_package(
    run: Cells, nothing_starts: None, line: str, code: str, text: str
) -> None:
    """Nothing that could be an option, a path, a pattern or a removal reaches apt."""
    error = run.attempt(f"%apt {line}").error
    assert type(error).__name__ == "UsageError" and run.steps() == []
    assert (getattr(error, "code", ""), str(error).split("\n")[0]) == (code, text)


def test_without_apt(run: Cells, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line; where conda or brew is there, what to type for it. Nothing is remembered."""
    monkeypatch.setattr(dpkg, "STATUS", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    reply = run.attempt("%apt ffmpeg=7 sox")
    assert isinstance(reply.error, SourceError) and reply.error.code == "no-apt"
    assert reply.error.hint == "Install it with this system's own tools: ffmpeg sox"
    for name, way in (("brew", "!brew install"), ("conda", "!conda install -y -c conda-forge")):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        reply = run.attempt("%apt ffmpeg=7")
        assert isinstance(reply.error, SourceError)
        assert reply.error.hint.endswith(f"{way} ffmpeg")
    assert run.steps() == [] and "unknown" in state(run, "ffmpeg")


def test_bare_without_any(run: Cells, nothing_starts: None) -> None:
    """Alone, where nothing is remembered, it says so with an example."""
    assert (
        run("%apt") == "No system package is recorded in this notebook. For instance: %apt ffmpeg"
    )


def test_one_line_for_all(run: Cells, database: Database) -> None:
    """All stand on one line, each once, as it was typed last; `%setup forget` takes it out."""
    for name in ("ffmpeg", "sox"):
        database(name)
    run("%apt ffmpeg sox --no-record")
    assert run.steps() == []
    run("%apt ffmpeg sox\n%apt ffmpeg=1:2-3")
    assert run.steps() == ["%apt ffmpeg=1:2-3 sox"]
    run("%setup forget apt ffmpeg")
    assert run.steps() == ["%apt sox"]
