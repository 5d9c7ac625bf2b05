"""What an installation breaks is found out in-process, as ``pip check`` would say it."""

from __future__ import annotations

import pytest

from colab_magics.pin.environment import Installed

from .conftest import Distribution


@pytest.mark.parametrize(
    ("need", "said"),
    [
        ("lib<2", "app 1.0 needs lib<2, not 2.0"),
        ("LIB >=1,<2", "app 1.0 needs LIB<2,>=1, not 2.0"),
        ("absent", "app 1.0 needs absent, which is not installed"),
        ("lib>=1", ""),
        ("lib==2.*", ""),
        ("absent; extra == 'more'", ""),
        ("absent; python_version < '3'", ""),
        ("lib (>dev)", ""),
    ],
)
def test_a_need_that_is_not_met_is_named(distribution: Distribution, need: str, said: str) -> None:
    """Needs of extras, of other Pythons, and those that cannot be read do not count."""
    before = Installed().broken()
    distribution("lib", "2.0")
    distribution("app", "1.0", f"Requires-Dist: {need}")
    assert Installed().broken() - before == ({said} if said else set())
