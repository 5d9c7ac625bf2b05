"""Which of a machine's GPUs programs see: ``CUDA_VISIBLE_DEVICES``.

Source: NVIDIA, "CUDA C++ Programming Guide", chapter "CUDA Environment Variables"; what it does not
say (repeated cards, text behind a number, upper case) was measured on an H200 with driver 580.
"""

from __future__ import annotations

import os
import re
from typing import List, NamedTuple, Optional, Sequence, Tuple

NAME = "CUDA_VISIBLE_DEVICES"
#: The part of a word that CUDA reads as a number.
_NUMBER = re.compile(r"\s*[+-]?\d{1,9}", re.ASCII)


class Identity(NamedTuple):
    """What a card can be named by: the driver's number (a MIG instance has none) and its UUID."""

    number: Optional[int]
    uuid: str


def find_visible(value: str, cards: Sequence[Identity], alike: bool) -> Sequence[Optional[bool]]:
    """Tell for each card or instance whether programs see it; None where that is not known.

    Numbers count in CUDA's order, which puts the fastest card first. It is the driver's where
    ``CUDA_DEVICE_ORDER`` says so, or where all cards of the machine are ``alike``.
    """
    unknown: Sequence[Optional[bool]] = [None] * len(cards)
    ordered = alike or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    chosen: List[Tuple[bool, int]] = []
    for word in value.split(","):
        number = _NUMBER.match(word)
        if number and not ordered:
            return unknown
        matches = [at for at, card in enumerate(cards) if _is_named(card, word, number)]
        if not matches and any(card.number is None for card in cards):
            return unknown  # divided cards have more names than we know
        if len(matches) != 1:
            break  # CUDA ignores what follows an invalid word
        if (bool(number), matches[0]) in chosen:
            return [False] * len(cards)  # CUDA does not start with a repeated card
        chosen.append((bool(number), matches[0]))
    visible = {at for _, at in chosen}
    return [at in visible for at in range(len(cards))]


def _is_named(card: Identity, word: str, number: Optional[re.Match[str]]) -> bool:
    """Tell whether a word is a card's number, or the beginning of its UUID."""
    if number:
        return card.number == int(number.group())
    name, uuid = word.strip().upper(), card.uuid.upper()
    least = len("GPU-x")
    return len(name) >= least <= len(uuid) and (uuid.startswith(name) or name.startswith(uuid))
