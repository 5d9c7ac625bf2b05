"""A real library with kernels, as its makers compiled it, read without loading it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from colab_magics.gpu.fatbin import Kernels, parse_architecture, read_kernels
from colab_magics.pin.uv import find_uv

#: What NVIDIA's own ``cuobjdump --list-elf`` (of CUDA 12.8) lists for it.
TORCHAUDIO = (50, 60, 70, 75, 80, 86, 90, 100, 120)


@pytest.mark.once
def test_the_kernels_of_torchaudio(tmp_path: Path) -> None:
    """Torchaudio 2.8.0 from PyPI (4 MB): the same architectures as NVIDIA's tool finds."""
    uv = find_uv()
    assert uv is not None
    words = ["--no-deps", "--python-platform", "x86_64-manylinux_2_28", "--python-version", "3.11"]
    command = [uv, "pip", "install", "-q", "--target", str(tmp_path), *words, "torchaudio==2.8.0"]
    subprocess.run([*command, "--python", sys.executable], check=True)
    carried = read_kernels(tmp_path / "torchaudio" / "lib" / "libtorchaudio.so")
    assert carried.sass == Kernels(frozenset(map(parse_architecture, TORCHAUDIO))).sass
