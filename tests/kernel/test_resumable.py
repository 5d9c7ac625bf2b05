"""``%%resumable`` in real kernels, killed in the loop: it goes on, and nobody sees a difference."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from support.front_end import Page, started
from support.machine import Machine
from support.waiting import until

from colab_magics.checkpoint.store import Store

from .conftest import MakeMachine

SETUP = """\
# colab_magics:setup v1
%reload_ext colab_magics
%drive mount ~/drive --from kept
%checkpoint --to drive:saved --every 1h"""

MAKE = """\
import json, os, random, time
import numpy as np
np.random.seed(7), random.seed(8)
X = np.random.normal(size=(400, 10))
y = X @ np.arange(10.0) + np.random.normal(size=400)
rng = np.random.default_rng(9)
def batches(size):
    for rows in np.split(np.random.permutation(len(X)), len(X) // size):
        yield X[rows], y[rows]
def step(weights, X, y):
    keep = np.random.random(X.shape) > 0.1
    error = (X * keep) @ weights - y
    return weights - RATE * (X * keep).T @ error / len(y), float(error @ error)
RATE = 0.05
weights, losses = np.zeros(10), []"""

#: Each turn draws from the module's generators and from one in a variable.
TRAIN = """\
%%resumable --every 0.01s
momentum = 0.0
print('begins')
for epoch, noise in enumerate(rng.normal(size=TURNS)):
    for X_batch, y_batch in batches(50):
        weights, loss = step(weights, X_batch, y_batch)
    if epoch % 7 == 3:
        continue
    momentum = 0.9 * momentum + noise * rng.random() + random.random()
    losses.append((epoch, loss, momentum))
    at = open('turn', 'w'); at.write(str(epoch)); at.close()
    time.sleep(0.02)
else:
    losses.append('else')
print('ends', len(losses))"""

RESULT = "print(json.dumps([losses, weights.tolist(), float(rng.random()), random.random()]))"


@pytest.fixture
def store(folder: Path) -> Store:
    """The checkpoints on the drive, which outlives the machines."""
    (folder / "kept").mkdir()
    return Store(folder / "kept/saved")


def turn_of(folder: Path) -> int:
    """The turn that the loop has ended last."""
    try:
        return int((folder / "turn").read_text() or -1)
    except FileNotFoundError:
        return -1


class Training:
    """A notebook with a loop, whose kernels are killed in it."""

    def __init__(self, machine: Machine, folder: Path, store: Store, make: str, train: str) -> None:
        self.machine, self.folder, self.store = machine, folder, store
        self.make, self.train = make, train

    def begin(self, page: Page, anew: bool) -> None:
        page.ok(SETUP)
        if anew:
            page.ok(self.make)

    def cut(self, anew: bool, turn: int) -> None:
        """Run the loop until that turn has ended and a checkpoint more is written, then kill."""
        with started(self.machine, self.folder) as kernel:
            page = kernel.page()
            self.begin(page, anew)
            pid = int(page.ok("import os\nprint(os.getpid())").text.split()[-1])
            known = set(self.store.names())
            page.begin(self.train)
            until(lambda: turn_of(self.folder) >= turn and set(self.store.names()) - known)
            os.kill(pid, signal.SIGKILL)

    def end(self, anew: bool, result: str) -> Any:
        """Run the loop to its end; return its output and the result."""
        with started(self.machine, self.folder) as kernel:
            page = kernel.page()
            self.begin(page, anew)
            printed = page.ok(self.train).text
            return printed, json.loads(page.ok(result).text)


def compare(
    make_machine: MakeMachine, folder: Path, store: Store, make: str, train: str, result: str
) -> None:
    """Train with three kills at random turns, and without; the results are the same bits."""
    training = Training(make_machine(), folder, store, make, train)
    chance = random.Random(5)
    for cut in range(3):
        training.cut(cut == 0, turn_of(folder) + chance.randrange(1, 12))
    printed, kept = training.end(False, result)
    assert "begins" not in printed and "ends" in printed
    assert "goes on with turn" in printed

    (folder / "other/kept").mkdir(parents=True)
    cell = train.partition("\n")[2]
    plain = Training(make_machine(), folder / "other", store, make, cell)
    printed, expected = plain.end(True, result)
    assert "begins" in printed and "ends" in printed
    assert kept == expected


def test_a_training_killed_three_times_has_the_curve_of_one_that_was_not(
    make_machine: MakeMachine, folder: Path, store: Store
) -> None:
    """Losses, weights and what is drawn next are the same bits; the loop begins only once."""
    compare(make_machine, folder, store, f"{MAKE}\nTURNS = 60", TRAIN, RESULT)


TORCH = """\
import json, time, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.set_num_threads(1)
torch.manual_seed(3)
X = torch.randn(1280, 10)
data = TensorDataset(X, X @ torch.arange(10.0))
g = torch.Generator()
g.manual_seed(4)
loader = DataLoader(data, batch_size=16, shuffle=True, generator=g)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses = []
def step(x, y):
    loss = ((model(x).squeeze(1) - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())"""
DONE = """\
    at = open('turn', 'w'); at.write(str(turn)); at.close()
    time.sleep(0.02)
print('ends')"""
EPOCHS = """\
%%resumable --every 0.01s
print('begins')
for turn in range(60):
    for x, y in loader:
        step(x, y)
"""
BATCHES = """\
%%resumable --every 0.01s
print('begins')
for turn, (x, y) in enumerate(loader):
    step(x, y)
"""
TENSORS = """\
print(json.dumps([losses, [p.tolist() for p in model.parameters()],
    torch.rand(3).tolist(), torch.rand(3, generator=g).tolist()]))"""


@pytest.mark.long
@pytest.mark.parametrize("loop", [EPOCHS, BATCHES], ids=["epochs", "batches"])
def test_a_training_with_torch(
    make_machine: MakeMachine, folder: Path, store: Store, loop: str
) -> None:
    """The same on the CPU, over epochs and over the shuffled batches themselves."""
    pytest.importorskip("torch")
    compare(make_machine, folder, store, TORCH, loop + DONE, TENSORS)
