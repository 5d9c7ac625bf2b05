"""Which of a machine's GPUs programs see: ``CUDA_VISIBLE_DEVICES``.

Source: NVIDIA, "CUDA C++ Programming Guide", chapter "CUDA Environment Variables".
"""

import os
from typing import List, Optional, Sequence

__all__ = ["NAME", "seen", "wanted"]

NAME = "CUDA_VISIBLE_DEVICES"


def wanted() -> Optional[str]:
    """What is asked for; None where nothing is, so that programs see all."""
    return os.environ.get(NAME)


def seen(value: str, identities: Sequence[str], alike: bool) -> Sequence[Optional[bool]]:
    """Whether programs see each card, or MIG instance, of these UUIDs, in the driver's order.

    Numbers count in CUDA's order, which puts the fastest card first. It is the driver's where
    ``CUDA_DEVICE_ORDER`` says so, or where the cards are ``alike``; else it is not known: None.
    """
    known = alike or os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    chosen: List[int] = []
    for word in map(str.strip, value.split(",")):
        if word.isdigit():
            if not known:
                return [None] * len(identities)
            at = [int(word)]
        else:
            found = word.startswith(("GPU-", "MIG-"))
            at = [at for at, uuid in enumerate(identities) if found and uuid.startswith(word)]
        if len(at) != 1 or at[0] >= len(identities):
            break  # CUDA looks no further than the first one that is none
        chosen += at
    return [at in chosen for at in range(len(identities))]
