"""Models, optimizers and tensors of a real torch, on the CPU, in a fresh process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.namespaces import ROOT, TENSORS, go_on

pytestmark = [pytest.mark.once, pytest.mark.long]

CELLS = """
import torch, torch.nn as nn
torch.manual_seed(0)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("shift", torch.ones(2))
    def forward(self, x):
        return self.layer(x) * scale + self.shift
scale = 1.0
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
weight = net.layer.weight
x = torch.randn(4, 3)
for _ in range(3):
    optimizer.zero_grad()
    loss = net(x).pow(2).sum()
    loss.backward()
    optimizer.step()
rows = torch.arange(6.0)
part, turned = rows[2:4], rows.view(2, 3).T
kinds = [torch.ones(3, dtype=torch.bfloat16), torch.empty(0), torch.eye(2).to_sparse(),
         torch.tensor([True]), torch.ones(2, dtype=torch.complex64), torch.float32,
         torch.device("cpu"), nn.Parameter(torch.ones(2))]
generator = torch.Generator().manual_seed(4)
"""
ACTS = {
    "training": "scale = 2.0\noptimizer.step()\nfor _ in range(3):\n"
    "    optimizer.zero_grad()\n    net(x).pow(2).sum().backward()\n    optimizer.step()\n"
    "net(x).tolist(), weight is net.layer.weight, optimizer.state_dict()['state'][0]['step']",
    "views": "rows[3] = 99\npart.tolist(), turned.tolist()",
    "kinds": "[str(kind) for kind in kinds]",
    "value": "loss.item(), isinstance(net, Net)",
    "generator": "torch.rand(2, generator=generator).tolist()",
    "grown": "rows.resize_(10).shape",
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has torch."""
    from uv import find_uv_bin

    uv, folder = find_uv_bin(), tmp_path_factory.mktemp("torch")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    install = [uv, "pip", "install", "-q", "--python", str(folder / "bin/python")]
    subprocess.run([*install, "torch", "numpy", str(ROOT)], check=True)
    return str(folder / "bin/python")


def test_the_double_is_of_its_shape(tmp_path: Path, python: str) -> None:
    """What the double of ``tests/unit/test_checkpoint_tensors.py`` does, the real one does too."""
    for result in go_on(tmp_path, [TENSORS.cells], {"act": TENSORS.act}, python=python):
        assert (result[0], result[2]) == ([], {"act": TENSORS.result})
    names = {"Tensor": "is_leaf grad detach", "UntypedStorage": "_cdata device cpu cuda nbytes"}
    names["cuda"] = "is_available is_initialized device_count get_rng_state_all"
    attributes = [f"torch.{kind}.{name}" for kind in names for name in names[kind].split()]
    more = "storage = torch.tensor([1.0])._typed_storage()"
    acts = {name: f"import torch\n{name} is not None" for name in attributes}
    acts["typed"] = f"import torch\n{more}\nstorage._untyped_storage.nbytes(), storage.dtype"
    _, _, results = go_on(tmp_path, [], acts, python=python)[0]
    assert results.pop("typed") == "(4, torch.float32)"
    assert set(results.values()) == {"True"}, results


def test_training_goes_on(tmp_path: Path, python: str) -> None:
    """Bitwise as without the cut: gradients, an optimizer's state, and memory that is shared."""
    before, after = go_on(tmp_path, [CELLS], ACTS, python=python)
    assert before[0] == after[0] == []
    assert {name: text for name, text in before[2].items() if "Error" in text} == {}
    assert after[2] == before[2]
