"""How this machine differs from the one that a notebook was made on, and what to do."""

from __future__ import annotations

import platform
from typing import Optional, Tuple

from ..core.host import Host
from ..core.menus import menu
from ..notebook.made_on import NO_GPU, Difference, MadeOn, describe_image, find_day, read_image

#: The day of the oldest image that Colab lists among its past runtimes.
OLDEST_IMAGE = "2025-07-01"


def here() -> MadeOn:
    """Return image, Python and GPU of this machine."""
    from ..gpu.devices import take_snapshot
    from ..gpu.format import list_names

    gpus = take_snapshot().gpus
    return MadeOn(platform.python_version(), read_image(), list_names(gpus) if gpus else NO_GPU)


def describe_move(text: Optional[str], host: Host) -> Tuple[str, ...]:
    """Return how this machine differs from the one of a note, and what to do; empty: it does not.

    ``text`` is the value of the notebook's metadata, if it has one.
    """
    made = MadeOn.decode(text)
    if made is None:
        return ()
    now = here()
    found = made.compare(now)
    if not found:
        return ()
    first = f"Made on {made.describe()}; here: {now.describe()}."
    return (first, *(advice for each in found for advice in [advise(each, host)] if advice))


def advise(difference: Difference, host: Host) -> str:
    """Return what to do about a difference; empty where it needs nothing."""
    return {"python": _advise_python, "image": _advise_image, "gpu": _advise_gpu}[difference.part](
        difference, host
    )


def _advise_python(difference: Difference, host: Host) -> str:
    from ..pin.environments.interpreters import OLDEST, on_colab

    minor = int(difference.then.split(".")[1])
    if (3, minor) < OLDEST:
        return (
            f"Python {difference.then}: colab_magics runs on {'.'.join(map(str, OLDEST))} and "
            "later. See what comes nearest: %setup revive"
        )
    if host.colab:
        return f"Python {difference.then}: {on_colab(host, difference.then)}"
    return f"Python {difference.then}: colab-magics run NOTEBOOK --python {difference.then}"


def _advise_image(difference: Difference, host: Host) -> str:
    day = find_day(difference.then)
    if not day:
        return ""
    image = describe_image(difference.then)
    text = f"Packages that no line pins may differ from the {image}: %pin PACKAGE --as-of {day}"
    if host.colab and day >= OLDEST_IMAGE:
        return f"{text}; or {menu(host, 'python')} lists past runtimes"
    if host.colab:
        return f"{text}. Colab's past runtimes go back to mid-2025, no further"
    return text


def _advise_gpu(difference: Difference, host: Host) -> str:
    if difference.now != NO_GPU and not host.colab:
        return ""  # another one is here, and nothing can be done from here
    from ..gpu.devices import advise as advise_on_gpu
    from ..gpu.devices import take_snapshot

    return f"{difference.then}: {advise_on_gpu(host, take_snapshot())}"
