"""``CUDA_VISIBLE_DEVICES``: which cards programs see."""

from __future__ import annotations

from typing import List, Optional

import pytest

from colab_magics.gpu.visible import seen

UUIDS = ("GPU-aa-1", "GPU-ab-2", "MIG-c")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0,2", [0, 2]),
        ("1", [1]),
        ("GPU-ab", [1]),
        ("MIG-c, 0", [0, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,-1,1", [0]),
        ("0,3,1", [0]),
        ("GPU-a", []),
        ("MIG", []),
        ("GPU-x,0", []),
    ],
)
def test_what_programs_see(value: str, shown: List[int]) -> None:
    """Those named by number or by the beginning of a UUID, up to the first that is none."""
    assert seen(value, UUIDS, alike=True) == [at in shown for at in range(3)]


@pytest.mark.parametrize(
    ("order", "value", "known"),
    [
        ("", "1", None),
        ("FASTEST_FIRST", "1", None),
        ("PCI_BUS_ID", "1", False),
        ("", "GPU-ab", False),
        ("", "", False),
    ],
)
def test_numbers_count_in_an_order(
    monkeypatch: pytest.MonkeyPatch, order: str, value: str, known: Optional[bool]
) -> None:
    """Of unlike cards CUDA's first may be another than the driver's: that is not guessed."""
    monkeypatch.setenv("CUDA_DEVICE_ORDER", order)
    assert seen(value, UUIDS, alike=False)[0] is known
