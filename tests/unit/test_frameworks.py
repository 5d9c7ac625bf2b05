"""Whether a framework can use a card, judged by what its files say."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple, get_args

import pytest
from doubles.torch import PTX, SASS, elf, fatbin, library

from colab_magics.core.registry import load
from colab_magics.gpu.fatbin import Capability, Kernels, parse_architecture, read_kernels
from colab_magics.gpu.frameworks import (
    FRAMEWORKS,
    Build,
    Framework,
    Jax,
    Problem,
    TensorFlow,
    judge,
    match_kernels,
)
from colab_magics.gpu.model import Gpu
from colab_magics.gpu.torch import Torch


def sass(*numbers: int) -> Kernels:
    """Compiled code for these architectures."""
    return Kernels(frozenset(map(parse_architecture, numbers)))


def gpu(name: str, card: Capability, driver: str = "", cuda: Capability = (0, 0)) -> Gpu:
    """A GPU of this capability, with a driver that runs up to this CUDA."""
    return Gpu(name, capability=card, driver=driver, cuda=cuda)


@pytest.mark.parametrize(
    ("number", "capability"), [(35, (3, 5)), (75, (7, 5)), (100, (10, 0)), (121, (12, 1))]
)
def test_the_number_of_an_architecture(number: int, capability: Capability) -> None:
    """The last digit is the minor part, also above 9."""
    assert parse_architecture(number) == capability


@pytest.mark.parametrize(
    ("numbers", "ptx", "card", "verdict"),
    [
        ([75], [], (7, 5), "yes"),
        ([80], [], (8, 6), "yes"),
        ([86], [], (8, 0), "no"),
        ([75], [], (8, 0), "no"),
        ([90], [], (10, 0), "no"),
        ([100], [], (10, 3), "yes"),
        ([75], [75], (12, 0), "ptx"),
        ([75], [90], (8, 0), "no"),
        ([], [60], (6, 0), "ptx"),
        ([], [], (7, 5), "unknown"),
    ],
)
def test_compiled_code_runs_within_its_major_version(
    numbers: List[int], ptx: List[int], card: Capability, verdict: str
) -> None:
    """And PTX on all that came later; that is NVIDIA's rule."""
    kernels = Kernels(sass(*numbers).sass, frozenset(map(parse_architecture, ptx)))
    assert match_kernels(kernels, card) == verdict


def test_a_library_is_read_without_being_loaded(tmp_path: Path) -> None:
    """What only a few kernels have does not count; PTX counts where nearly all have it."""
    path = tmp_path / "lib.so"
    common = fatbin((SASS, 70), (SASS, 90), (PTX, 90))
    path.write_bytes(library(*[common] * 9, fatbin((SASS, 89), (PTX, 50))))
    assert read_kernels(path) == Kernels(frozenset({(7, 0), (9, 0)}), frozenset({(9, 0)}))
    path.write_bytes(library(fatbin((SASS, 75)), noise=[b"\x50\xed\x55"]))
    assert read_kernels(path) == sass(75), "a file that was replaced is read again"


def test_only_the_sections_of_the_compiler_are_read(tmp_path: Path) -> None:
    """In a library of Linux what stands elsewhere is data of others, not kernels."""
    real, other = library(fatbin((SASS, 75))), library(fatbin((SASS, 35)))
    (tmp_path / "lib.so").write_bytes(elf({".data": other, ".nv_fatbin": real}))
    assert read_kernels(tmp_path / "lib.so") == sass(75)
    (tmp_path / "none.so").write_bytes(elf({".data": other})[:-100])
    assert read_kernels(tmp_path / "none.so") == sass(35), "a table that is cut is none"


@pytest.mark.parametrize("data", [b"", b"\x50\xed\x55\xba", b"x" * 4096, fatbin((SASS, 75))[:40]])
def test_what_is_no_library_says_nothing(tmp_path: Path, data: bytes) -> None:
    """Empty, cut or of another kind: nothing is known, and nothing raised."""
    (tmp_path / "lib.so").write_bytes(data)
    assert read_kernels(tmp_path / "lib.so") == Kernels()
    assert read_kernels(tmp_path / "missing.so") == Kernels()


@pytest.mark.parametrize(
    ("build", "card", "hint"),
    [
        (sass(70, 80, 90, 120), (6, 1), "%pin torch==1 --torch-backend cu126"),
        (sass(75, 80, 90, 120), (7, 0), "%pin torch==1 --torch-backend cu126"),
        (sass(50, 60, 70), (9, 0), "%pin 'torch>=2.0'"),
        (sass(70, 80, 90), (12, 0), "%pin 'torch>=2.7'"),
    ],
)
def test_torch_that_does_not_fit_says_what_does(
    build: Kernels, card: Capability, hint: str
) -> None:
    """Too old for the card, or the card too old for it: another release, or another build."""
    verdict = judge(Torch(), Build("torch", "1", (12, 8), build), gpu("X", card, "570", (12, 8)))
    assert not verdict.runs and hint in verdict.text


def test_a_driver_of_the_same_major_version_is_new_enough() -> None:
    """NVIDIA's minor version compatibility: a 12.2 driver runs a build for 12.8."""
    build = Build("torch", "2.8.0", (12, 8), sass(75))
    assert judge(Torch(), build, gpu("T4", (7, 5), "535", (12, 2))).runs
    assert not judge(Torch(), build, gpu("T4", (7, 5), "470", (11, 4))).runs
    assert judge(Torch(), build, gpu("T4", (7, 5))).runs, "a driver that says nothing"


#: As 2.17 wrote it, and as others have.
INFOS = [
    "build_info = collections.OrderedDict([('cpu_compiler', '/x/clang'), "
    "('cuda_compute_capabilities', ['sm_60', 'sm_89', 'compute_90']), ('cuda_version', '12.3'), "
    "('is_cuda_build', True)])",
    "build_info = {'cuda_compute_capabilities': ['sm_60', 'sm_89', 'compute_90'], "
    "'cuda_version': '12.3'}",
]


@pytest.mark.parametrize("info", [*INFOS, "build_info = {'is_cuda_build': False}"])
def test_tensorflow_says_it_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: str
) -> None:
    """Its list of capabilities is read, and nothing of it imported."""
    place = tmp_path / "tensorflow" / "python" / "platform"
    place.mkdir(parents=True)
    (tmp_path / "tensorflow" / "__init__.py").write_text("raise RuntimeError\n")
    (place / "build_info.py").write_text(info)
    monkeypatch.syspath_prepend(str(tmp_path))
    build = TensorFlow().find_build()
    assert build is not None
    if info in INFOS:
        assert build.cuda == (12, 3)
        assert build.kernels == Kernels(frozenset({(6, 0), (8, 9)}), frozenset({(9, 0)}))
    else:
        assert build.cuda is None


@pytest.mark.parametrize("name", list(FRAMEWORKS))
def test_each_framework_has_advice(name: str) -> None:
    """Each problem on a card of any age has a hint that names the framework, or says nothing."""
    framework: Framework = load(FRAMEWORKS[name])()
    build = framework.find_build() or Build(name, "1.0", (12, 0))
    for card in [(3, 5), (7, 0), (9, 0), (12, 0)]:
        for problem in get_args(Problem):
            hint = framework.hint(build, problem, card)
            assert name in hint or hint in {"", "install an older version"}


@pytest.mark.parametrize(
    ("installed", "card", "cuda", "text"),
    [
        (["jax-cuda12-plugin"], (7, 0), (12, 4), "jax 0.6.0 runs here (sm_70)"),
        (
            ["jax-cuda13-plugin"],
            (7, 0),
            (13, 0),
            "jax 0.6.0 needs sm_75 or newer, not sm_70 (V100): %pin 'jax[cuda12]'",
        ),
        (
            ["jax-cuda13-plugin"],
            (8, 0),
            (12, 4),
            "jax 0.6.0 is built for CUDA 13.0, and the driver here (550) runs up to 12.4: "
            "%pin 'jax[cuda12]'",
        ),
        ([], (7, 0), (12, 4), "jax 0.6.0 is built without CUDA: %pin 'jax[cuda12]'"),
    ],
)
def test_jax_says_it_by_its_plugin(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installed: List[str],
    card: Capability,
    cuda: Tuple[int, int],
    text: str,
) -> None:
    """The plugin for CUDA that is installed beside it decides; jax is not imported."""
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("raise RuntimeError\n")
    for name in ("jax", *installed):
        info = tmp_path / f"{name.replace('-', '_')}-0.6.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.6.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    build = Jax().find_build()
    assert build is not None
    assert judge(Jax(), build, gpu("V100", card, "550", cuda)).text == text


def test_without_jax_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of that name is no installation."""
    (tmp_path / "jax").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Jax().find_build() is None
