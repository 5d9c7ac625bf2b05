"""What the unit tests share: distributions that seem installed, and how long hypothesis looks."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator, Mapping

import pytest
from hypothesis import HealthCheck, settings

from colab_magics.pin.loaded import STALE

Distribution = Callable[..., Path]


def pytest_configure(config: pytest.Config) -> None:
    """A seeded slice, the same on every run; ``--long`` looks further, somewhere else each time."""
    common = {"deadline": None, "database": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("slice", derandomize=True, max_examples=100, **common)
    settings.register_profile("long", max_examples=2000, **common)
    settings.load_profile("long" if config.getoption("--long") else "slice")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the head of ``sys.path``, as site-packages would be."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def distribution(site: Path) -> Distribution:
    """Make a distribution seem installed: ``distribution(name, version, head=..., files=...)``.

    ``head`` are more lines of METADATA; ``files`` are paths in site-packages and their texts,
    those of the dist-info folder by their bare names.
    """

    def add(
        name: str, version: str, *head: str, files: Mapping[str, str] = {}, folder: str = ""
    ) -> Path:
        info = site / f"{folder or name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *head]
        (info / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        record = []
        for path, text in files.items():
            target = site / path if "/" in path or path.endswith(".py") else info / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            record.append(f"{target.relative_to(site).as_posix()},,")
        (info / "RECORD").write_text("\n".join(record) + "\n", encoding="utf-8")
        return info

    return add


@pytest.fixture
def nothing_stale() -> Iterator[None]:
    """No distribution is loaded in an older version, before and after."""
    STALE.clear()
    yield
    STALE.clear()
