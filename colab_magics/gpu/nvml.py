"""NVIDIA's driver library NVML: found, started, and what its errors mean for a person.

Source: NVIDIA's NVML API reference, ``nvmlReturn_t``. It is started anew for each question, so
that a process that was forked, or a driver that came later, needs nothing special.
"""

import ctypes
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator


#: Where the library is that the loader does not find by itself: on WSL, on Colab, in containers.
PLACES = ("/usr/lib/wsl/lib", "/usr/lib64-nvidia", "/usr/local/nvidia/lib64")
_LIBRARY = "libnvidia-ml.so.1"

#: By the code of an error, what it is and what to do; {} is the card, where it is one's.
_ADVICE = {
    4: "This user may not use the NVIDIA driver{}: look at the rights of /dev/nvidia*",
    9: "The NVIDIA driver is installed but not loaded{}: restart the machine",
    15: "The driver has lost GPU{}: restart the machine, or get another one",
    16: "GPU{} has to be reset: restart the machine",
    17: "The system blocks GPU{}: on WSL update the driver of Windows, then: wsl --update",
    18: "The NVIDIA driver was updated while running{}: restart the machine",
}
_NOT_FOUND = 12


class Unavailable(Exception):
    """NVML cannot be asked; the message says why, and is empty where there is no driver at all."""


@contextmanager
def session() -> Iterator[Any]:
    """The module ``pynvml``, started; `Unavailable` where it cannot be."""
    import pynvml

    if not hasattr(pynvml, "_nvmlGetFunctionPointer"):
        raise Unavailable("An outdated package pynvml hides nvidia-ml-py: uninstall pynvml")
    try:
        _start(pynvml)
    except pynvml.NVMLError as error:
        missing = getattr(error, "value", None) == _NOT_FOUND
        raise Unavailable("" if missing else advice(error)) from None
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _start(nvml: Any) -> None:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        if getattr(error, "value", None) != _NOT_FOUND or not _loaded():
            raise
        nvml.nvmlInit()  # the loader now knows a library of this name


def _loaded() -> bool:
    """Load the library from where it may be besides; whether one was there."""
    for place in PLACES:
        try:
            ctypes.CDLL(str(Path(place, _LIBRARY)))
        except OSError:
            continue
        return True
    return False


def advice(error: Any, card: str = "") -> str:
    """What an error means and what to do; ``card`` where it is about one."""
    text = _ADVICE.get(getattr(error, "value", None) or 0)
    if text is None:
        return f"The NVIDIA driver says{f' of GPU {card}' if card else ''}: {error}"
    return text.format(f" {card}" if card else "")


def query(nvml: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, or None where this driver or this GPU has none."""
    try:
        answer = call(*arguments)
    except nvml.NVMLError:
        return None
    return answer.decode() if isinstance(answer, bytes) else answer
