"""``%setup apply --on ray``: a real Ray of this machine, which makes the environment itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from doubles.index import make_wheel, serve
from support.machine import Machine
from support.notebooks import MARKER

pytestmark = [pytest.mark.once, pytest.mark.long]

CANARY = "canary-77b0c4e1d2"
#: What a driver does: the set-up, again, a task, and a list of what Ray shows; then another set-up.
DRIVER = """
import json, os, pathlib, sys
import ray
from colab_magics.core.errors import ColabMagicsError
from colab_magics.core.host import Host
from colab_magics.engines.engine import apply, choose
from colab_magics.record.cell import parse
from colab_magics.setup.magic_check import Recorded
from colab_magics.setup.magic_recipe import make_recipe

def set_up(text):
    recipe = make_recipe("notebook", parse(text), Recorded(), Host(start=pathlib.Path.cwd()))
    secrets = {"HF_TOKEN": os.environ.pop("CANARY", None) or kept[0]}
    kept[:] = secrets.values()
    return apply(choose("ray", {}), recipe, secrets, False).as_json()

kept, text, other = [], *sys.argv[1:]
first, second = set_up(text), set_up(text)

@ray.remote(num_cpus=0)
def task():
    import os, sys, tinypkg
    assert "colab_magics" not in sys.modules
    file = open("data/x.whl", "rb").read(2).decode()
    return tinypkg.__version__, os.environ["MODE"], os.environ["HF_TOKEN"], file

@ray.remote(num_cpus=0)
def gradient(weight, start, end):
    return sum((weight * x - 3 * x) * x for x in range(start, end))

values, weight = ray.get(task.remote()), 0.0
for _ in range(30):  # fit y = 3x
    parts = [gradient.remote(weight, 0, 5), gradient.remote(weight, 5, 10)]
    weight -= sum(ray.get(parts)) / 500
values = [*values, round(weight, 3)]
shown = [repr(ray.get_runtime_context().runtime_env), repr(ray.nodes())]
processes = [path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")]
try:
    code = set_up(other)["state"]
except ColabMagicsError as error:
    code = error.code
logs = pathlib.Path(ray._private.worker._global_node.get_logs_dir_path())
shown += [path.read_text(errors="replace") for path in logs.rglob("*") if path.is_file()]
ray.shutdown()
failed = set_up(other)
leaks = [kept[0] in text for text in shown] + [kept[0].encode() in x for x in processes]
print("RESULT", json.dumps([first, second, values, code, failed, any(leaks), ray.is_initialized()]))
"""


def test_ray(tmp_path: Path) -> None:
    """A node gets the pins, variables and secrets once, by Ray's own means; nothing shows a secret.

    Another set-up needs another connection; one that cannot be made is not stayed connected with.
    """
    make_wheel(tmp_path / "wheels", "tinypkg", "1.0")
    with serve(tmp_path / "wheels") as index:
        machine = Machine.make(tmp_path / "environment", tmp_path / "home", index)
        machine.variables.update(CANARY=CANARY, UV_INDEX_URL=index, RAY_USAGE_STATS_ENABLED="0")
        machine.variables["UV_CACHE_DIR"] = str(tmp_path / "cache")
        wheel = f"{index.replace('/simple/', '')}/files/tinypkg-1.0-py3-none-any.whl"
        head = f"{MARKER}\n%secret HF_TOKEN\n%env_persist MODE=fast\n"
        head += f"%fetch {wheel} data/x.whl\n%pin tinypkg=="
        done = machine.run("-c", DRIVER, f"{head}1.0", f"{head}3.0", cwd=tmp_path)
    rows = [line[7:] for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert rows, done.stderr
    first, second, values, code, failed, leaks, is_connected = json.loads(rows[0])
    assert [x["state"] for x in (first, second, failed)] == ["holds", "holds", "failed"]
    assert first["workers"][0]["changed"] == ["tinypkg==1.0", "MODE", "HF_TOKEN", "data/x.whl"]
    assert second["workers"][0]["changed"] == []
    assert values == ["1.0", "fast", CANARY, "PK", 3.0]
    assert (code, failed["workers"][0]["code"], leaks, is_connected) == (
        "connected",
        "install",
        False,
        False,
    )
    assert CANARY not in json.dumps([first, second, failed])
