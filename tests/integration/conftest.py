"""What the integration tests share: ten wheels of many files, in two versions."""

from __future__ import annotations

import pytest
from doubles.index import make_wheel
from doubles.many import Many, make_many


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Many:
    """Made once, for no test changes them. With ``--long`` they have more files."""
    wheels = tmp_path_factory.mktemp("many")
    few, most = (300, 800) if request.config.getoption("--long") else (60, 160)
    one, two = (make_many(wheels, version, few, most) for version in ("1.0", "2.0"))
    make_wheel(wheels, "tinypkg", "1.0")
    return Many(wheels, one, two)
