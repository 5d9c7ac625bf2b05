"""Which of a machine's GPUs programs see: ``CUDA_VISIBLE_DEVICES``.

Source: NVIDIA, "CUDA C++ Programming Guide", chapter "CUDA Environment Variables"; what it does not
say (repeated cards, what stands behind a number, upper case) was seen on an H200 with driver 580.
"""

from __future__ import annotations

import os
import re
from typing import List, NamedTuple, Optional, Sequence, Tuple

NAME = "CUDA_VISIBLE_DEVICES"
#: As much of a word as is read as a number.
_NUMBER = re.compile(r"\s*[+-]?\d{1,9}", re.ASCII)


class Named(NamedTuple):
    """What a card can be named by: the driver's number, None of a MIG instance, and its UUID."""

    number: Optional[int]
    uuid: str


def wanted() -> Optional[str]:
    """What is asked for; None where nothing is, so that programs see all."""
    return os.environ.get(NAME)


def seen(value: str, cards: Sequence[Named], alike: bool) -> Sequence[Optional[bool]]:
    """Whether programs see each of these cards and instances; None where it is not known.

    Numbers count in CUDA's order, which puts the fastest card first. It is the driver's where
    ``CUDA_DEVICE_ORDER`` says so, or where all the cards of the machine are ``alike``.
    """
    ordered = alike or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    chosen: List[Tuple[bool, int]] = []
    for word in value.split(","):
        number = _NUMBER.match(word)
        if number and not ordered:
            return [None] * len(cards)
        matches = [at for at, card in enumerate(cards) if _is(card, word, number)]
        if not matches and any(card.number is None for card in cards):
            return [None] * len(cards)  # of divided cards there are more names than we know
        if len(matches) != 1:
            break  # CUDA looks no further than the first one that is none
        if (bool(number), matches[0]) in chosen:
            return [False] * len(cards)  # nor does it start where one is named twice
        chosen.append((bool(number), matches[0]))
    shown = {at for _, at in chosen}
    return [at in shown for at in range(len(cards))]


def _is(card: Named, word: str, number: Optional[re.Match[str]]) -> bool:
    """Whether a word names a card: its number, or the beginning of its UUID."""
    if number:
        return card.number == int(number.group())
    name, uuid = word.strip().upper(), card.uuid.upper()
    least = len("GPU-x")
    return len(name) >= least <= len(uuid) and (uuid.startswith(name) or name.startswith(uuid))
