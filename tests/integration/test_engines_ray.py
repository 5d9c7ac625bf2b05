"""``%setup apply --on`` a real Ray: of this machine, of a cluster, and by its client."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Iterator

import pytest
from doubles.index import make_wheel, serve
from support.machine import Machine
from support.notebooks import MARKER
from support.ray_cluster import ray_cluster, ray_machine
from support.training import make_humanize, run_training

pytestmark = [pytest.mark.once, pytest.mark.long]

CANARY = "canary-77b0c4e1d2"
#: What a driver does: the set-up, another node that joins where there is a cluster, the set-up
#: again, a task on each node, and a list of what Ray shows; then another set-up.
DRIVER = """
import atexit, json, os, pathlib, subprocess, sys, time, urllib.request
import ray
from colab_magics.core.errors import ColabMagicsError
from colab_magics.core.host import Host
from colab_magics.engines.engine import apply, choose
from colab_magics.record.cell import parse
from colab_magics.setup.magic_check import Recorded
from colab_magics.setup.magic_recipe import make_recipe
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

address, text, other, join, dashboard = sys.argv[1:]
secret = os.environ.pop("CANARY")

def set_up(text):
    recipe = make_recipe("notebook", parse(text), Recorded(), Host(start=pathlib.Path.cwd()))
    try:
        return apply(choose(address, {}), recipe, {"HF_TOKEN": secret}, False).as_json()
    except ColabMagicsError as error:
        return {"state": error.code, "text": str(error) + str(error.details)}

def list_hooks():
    return ray.experimental.internal_kv._internal_kv_list(b"FunctionsToRun:", namespace=b"fun")

first = set_up(text)
quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
joined = subprocess.Popen(json.loads(join), **quiet) if join else None
atexit.register(lambda: joined and (joined.terminate(), joined.wait(60)))
while joined and sum(node["Alive"] for node in ray.nodes()) < 2:
    assert joined.poll() is None
    time.sleep(0.1)
second = set_up(text)

@ray.remote(num_cpus=0)
def task():
    import os, sys, tinypkg
    assert "colab_magics" not in sys.modules
    file = open("data/x.whl", "rb").read(2).decode()
    return tinypkg.__version__, os.environ["MODE"], os.environ["HF_TOKEN"], file

nodes = [On(node["NodeID"], soft=False) for node in ray.nodes() if node["Alive"]]
values = ray.get([task.options(scheduling_strategy=node).remote() for node in nodes])
shown = [repr(ray.get_runtime_context().runtime_env), repr(ray.nodes())]
for what in ("tasks", "workers", "runtime_envs", "jobs", "objects") if dashboard else ():
    with urllib.request.urlopen(f"{dashboard}/api/v0/{what}?detail=1&limit=1000") as answer:
        shown.append(answer.read().decode())
processes = [path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
connected = set_up(other)
there = list_hooks()
ray.shutdown()
failed = set_up(other)
is_connected = ray.is_initialized()
ray.shutdown()
if dashboard:
    ray.init(address)
    while list_hooks():  # else this program does not end
        time.sleep(0.1)
kept = pathlib.Path(os.environ["RAY_TMPDIR"]).rglob("*")
kept = [path for path in kept if path.is_file() and "virtualenv" not in path.parts]
shown += [path.read_text(errors="replace") for path in kept]
leaks = [secret in text for text in shown] + [secret.encode() in x for x in processes]
shown = [len(kept), len(there), any("inspect" in text for text in shown)]
print("RESULT", json.dumps([first, second, values, connected, failed, leaks, is_connected, shown]))
"""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """An index with tiny packages."""
    make_wheel(tmp_path / "wheels", "tinypkg", "1.0")
    make_humanize(tmp_path / "wheels")
    with serve(tmp_path / "wheels") as url:
        yield url


@pytest.fixture
def machine(tmp_path: Path, index: str) -> Iterator[Machine]:
    """An environment, and what Ray is started with."""
    with ray_machine(tmp_path, index) as made:
        yield made


def drive(machine: Machine, index: str, *words: str) -> Any:
    """What the driver prints."""
    wheel = f"{index.replace('/simple/', '')}/files/tinypkg-1.0-py3-none-any.whl"
    head = f"{MARKER}\n%secret HF_TOKEN\n%env_persist MODE=fast\n"
    head += f"%fetch {wheel} data/x.whl\n%pin tinypkg=="
    address, *others = words
    folder = machine.home.parent
    machine.variables["CANARY"] = CANARY
    done = machine.run("-c", DRIVER, address, f"{head}1.0", f"{head}3.0", *others, cwd=folder)
    rows = [line[7:] for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert rows, done.stdout + done.stderr
    return json.loads(rows[0])


def check(result: Any, nodes: int) -> None:
    """All of it is there, on each node, and was done once; nothing shows the secret."""
    first, second, values, connected, failed, leaks, is_connected, shown = result
    assert [first["state"], second["state"]] == ["holds", "holds"]
    assert first["workers"][0]["changed"] == ["tinypkg==1.0", "MODE", "HF_TOKEN", "data/x.whl"]
    assert [worker["changed"] for worker in second["workers"]] == [[]] * nodes
    assert values == [["1.0", "fast", CANARY, "PK"]] * nodes
    assert (connected["state"], is_connected) == ("connected", False)
    assert shown[0] > 5 and shown[1] == 1 and not any(leaks)
    assert CANARY not in json.dumps([first, second, connected, failed])


def test_ray_of_this_machine(machine: Machine, index: str) -> None:
    """A node gets the pins, variables, files and secrets once; nothing shows a secret.

    Another set-up needs another connection; one that cannot be made is not stayed connected with.
    """
    result = drive(machine, index, "ray", "", "")
    check(result, 1)
    assert result[4]["workers"][0]["code"] == "install"


@pytest.mark.parametrize("way", ["auto", "client"])
def test_cluster(machine: Machine, index: str, way: str) -> None:
    """The same of a cluster that runs already, by ``auto`` and by Ray's client.

    A node that joins gets all of it too; when the driver leaves, Ray forgets the secret.
    """
    with ray_cluster(machine) as cluster:
        address = cluster.client if way == "client" else "auto"
        join = json.dumps(cluster.joining("second"))
        result = drive(machine, index, address, join, cluster.dashboard)
    check(result, 2)
    assert result[7][2], "the tasks of the set-up are among what is shown"
    assert [x["worker"] for x in result[0]["workers"]] == ["first"]
    assert sorted(x["worker"] for x in result[1]["workers"]) == ["first", "second"]
    failed = result[4]
    if way == "client":
        assert failed["state"] == "refused" and "tinypkg==3.0" in failed["text"]
    else:
        assert [x["code"] for x in failed["workers"]] == ["install", "install"]


@pytest.mark.parametrize("way", ["here", "client"])
def test_a_notebook_trains_over_ray(machine: Machine, tmp_path: Path, way: str) -> None:
    """docs/engines/ray.ipynb: the node holds, and the result is that of one machine.

    ``ray`` is the cluster that ``RAY_ADDRESS`` names, by its client too.
    """
    with ray_cluster(machine) if way == "client" else nullcontext() as cluster:
        if cluster:
            machine.variables["RAY_ADDRESS"] = cluster.client
        table, _ = run_training("ray", machine, tmp_path)
    assert len(re.findall(r"^holds ", table, re.M)) == 1
    assert ("first" in table) == bool(cluster)
