"""``CUDA_VISIBLE_DEVICES``: which cards programs see."""

from __future__ import annotations

from typing import List, Optional

import pytest

from colab_magics.gpu.cuda_visible import Identity, find_visible

CARDS = (Identity(0, "GPU-aa-1"), Identity(1, "GPU-ab-2"), Identity(2, "GPU-b-3"))
DIVIDED = (Identity(None, "MIG-a"), Identity(None, "MIG-b"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0,2", [0, 2]),
        ("1", [1]),
        ("GPU-ab", [1]),
        ("GPU-b, 0", [0, 2]),
        ("gpu-AB-2", [1]),
        ("GPU-ab-2x", [1]),
        ("0,GPU-aa-1", [0]),
        ("+0,02;9,0x1", []),
        ("+0,02;9", [0, 2]),
        ("-0", [0]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("0,-1,1", [0]),
        ("0,3,1", [0]),
        ("GPU-a", []),
        ("MIG", []),
        ("GPU-", []),
        ("GPU", []),
        ("\u00b2", []),
        ("9" * 5000, []),
        ("0,0", []),
        ("GPU-ab,GPU-ab-2", []),
        ("GPU-x,0", []),
    ],
)
def test_what_programs_see(value: str, shown: List[int]) -> None:
    """Those named by number or by the beginning of a UUID, up to the first that is none.

    As CUDA itself has it: see `tests/shell/test_gpu_real.py`.
    """
    assert find_visible(value, CARDS, alike=True) == [at in shown for at in range(3)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("MIG-b", [False, True]),
        ("", [None, None]),
        ("0", [None, None]),
        ("GPU-aa-1", [None, None]),
        ("MIG-GPU-aa-1/7/0", [None, None]),
        ("MIG-b,MIG-GPU-aa-1/7/0", [None, None]),
    ],
)
def test_what_programs_see_of_a_divided_card(value: str, shown: List[Optional[bool]]) -> None:
    """An instance that is named by its own UUID; what else is meant is not guessed."""
    assert find_visible(value, DIVIDED, alike=True) == shown


def test_a_card_that_is_not_there_keeps_its_number() -> None:
    """Where the first card is lost, the second one is still number 1."""
    assert find_visible("1", CARDS[1:], alike=True) == [True, False]


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
    assert find_visible(value, CARDS, alike=False)[0] is known
