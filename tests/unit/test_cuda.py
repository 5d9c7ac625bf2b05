"""The CUDA build that is planned, and the driver that is there."""

from __future__ import annotations

from typing import List, Optional

import pytest

from colab_magics.gpu.nvidia import Driver
from colab_magics.pin import cuda
from colab_magics.pin.plan import Item

T4 = Driver("550.54.14", (12, 4), True)
OLD = Driver("470.1", (11, 4), True)
NO_GPU = Driver()
BUILT_IN = [Item("torch", "2.8.0+cu128", size=900_000_000)]
PULLED = [
    Item("torch", "2.8.0"),
    Item("nvidia-cuda-runtime-cu12", "12.8.90"),
    Item("nvidia-cudnn-cu12", "9.10", size=2_500_000_000),
]
THIRTEEN = [Item("torch", "2.10.0"), Item("nvidia-cuda-runtime", "13.0.48", size=2_000_000)]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> object:
    """What is said of a plan with a driver."""

    def say(driver: Optional[Driver], items: List[Item], installer: str = "uv") -> List[str]:
        monkeypatch.setattr(cuda, "_driver", lambda: driver)
        return cuda.advice({item.name: item for item in items}, installer)

    return say


def test_a_newer_major_version_is_told(said) -> None:  # type: ignore[no-untyped-def]
    """By the version's local part, or by the runtime that comes with it."""
    runs = "this driver (470.1) runs up to 11.4: take --torch-backend cu118"
    assert said(OLD, BUILT_IN) == [f"torch 2.8.0 is built for CUDA 12.8; {runs}"]
    assert said(OLD, PULLED) == [f"torch 2.8.0 is built for CUDA 12.8; {runs}"]
    assert "CUDA 13.0" in said(T4, THIRTEEN)[0]


def test_a_newer_minor_version_runs(said) -> None:  # type: ignore[no-untyped-def]
    """Within a major version, and on any later driver, all builds run."""
    assert said(T4, BUILT_IN) == said(T4, PULLED) == []
    assert said(Driver("580.1", (13, 0), True), BUILT_IN) == []


def test_much_for_a_gpu_that_is_not_there(said) -> None:  # type: ignore[no-untyped-def]
    """Told from 500 MB on, and only where the sizes are known."""
    line = "no NVIDIA GPU here, and 2.5 GB of this is for one: take --torch-backend cpu"
    assert said(NO_GPU, PULLED) == [line]
    assert said(NO_GPU, THIRTEEN) == []


def test_what_cannot_be_told_is_not(said) -> None:  # type: ignore[no-untyped-def]
    """A driver that does not answer, or does not name a CUDA, says nothing of the build."""
    assert said(None, PULLED) == said(Driver("550", (0, 0), True), THIRTEEN) == []


def test_the_advice_fits_what_is_used(said) -> None:  # type: ignore[no-untyped-def]
    """Pip has no ``--torch-backend``, and other libraries have no such builds."""
    assert said(OLD, BUILT_IN, "pip")[0].endswith(
        ": take --index-url https://download.pytorch.org/whl/cu118"
    )
    alone = [Item("nvidia-cuda-runtime-cu12", "12.8.90")]
    assert said(OLD, alone) == [
        "nvidia-cuda-runtime-cu12 12.8.90 is built for CUDA 12.8; "
        "this driver (470.1) runs up to 11.4"
    ]


def test_other_plans_do_not_ask_for_a_driver(said, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Where nothing is for a GPU, no driver is looked for."""
    monkeypatch.setattr(cuda, "load", lambda target: pytest.fail("asked"))
    cuda._driver.cache_clear()
    assert cuda.advice({"numpy": Item("numpy", "2.1.3")}, "uv") == []
