"""Tensors keep their memory, their gradients and their device: with a torch of the same shape."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Dict

import pytest
from support.namespaces import TENSORS, restore, save

from colab_magics.checkpoint.namespace import get_states, set_states

DOUBLE = Path(__file__).parents[1] / "doubles/small_torch/torch.py"


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The double, as the torch of this process."""
    spec = importlib.util.spec_from_file_location("torch", DOUBLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "torch", module)
    spec.loader.exec_module(module)
    return module


def test_tensors_go_on_as_before(torch: ModuleType) -> None:
    """A change of one is seen in those that share its memory; a computed one is its value."""
    before: Dict[str, Any] = {"__name__": "__main__"}
    exec(TENSORS.cells, before)
    after: Dict[str, Any] = {"__name__": "__main__"}
    saved = save(before)
    assert sum(map(len, saved[2])) == 8 * (6 + 2 + 2 + 2 + 3)  # each memory once, out of band
    assert restore(saved, after).lost == []
    *lines, last = TENSORS.act.rstrip().split("\n")
    results = []
    for space in (before, after):
        exec("\n".join(lines), space)
        results.append(repr(eval(last, space)))
    assert results[0] == results[1] == TENSORS.result


@pytest.mark.parametrize(
    ("there", "device", "notes"),
    [
        (2, "cuda:1", []),
        (1, "cuda:0", []),
        (0, "cpu", ["tensors of cuda:1 are on the CPU"]),
    ],
)
def test_tensors_of_a_gpu(torch: Any, there: int, device: str, notes: Any) -> None:
    """They go back to theirs, to another one, or to the CPU, which is said; each memory once."""
    torch.GPUS = 2
    rows = torch.tensor([1.0, 2.0, 3.0]).cuda(1)
    saved = save({"rows": rows, "part": rows[1:3], "own": torch.tensor([0.0])})
    torch.GPUS, after = there, {}
    loaded = restore(saved, after)
    assert (loaded.lost, loaded.notes) == ([], notes)
    assert (after["rows"].device, after["part"].device, after["own"].device) == (
        device,
        device,
        "cpu",
    )
    assert after["rows"].tolist() == [1.0, 2.0, 3.0]
    after["rows"][2] = 9.0
    assert after["part"].tolist() == [2.0, 9.0]


def test_states_of_its_generators(torch: Any) -> None:
    """The next numbers are those that would have come; states of GPUs that are gone are named."""
    torch.GPUS = 2
    torch.manual_seed(3)
    states = get_states()
    expected = torch.rand(4).tolist()
    assert set_states(states) == []
    assert torch.rand(4).tolist() == expected
    torch.GPUS = 1
    assert set_states(states) == []
    assert torch.SET == [["state 0", "state 1"], ["state 0"]]
    torch.GPUS = 0
    assert set_states(states) == ["torch.cuda"]
