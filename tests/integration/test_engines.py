"""``%setup apply --on``: real workers of Dask and ipyparallel, in environments of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import pytest
from doubles.index import make_wheel, serve
from support.cells import Cells, new_shell
from support.machine import Machine
from support.notebooks import MARKER, notebook
from support.training import make_humanize, run_training
from support.waiting import until
from support.workers import Workers
from uv import find_uv_bin

import colab_magics
from colab_magics.__main__ import main
from colab_magics.core.errors import ColabMagicsError
from colab_magics.engines import dask

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore")]

CANARY = "canary-5e1d0c77a9"
#: What a worker evaluates: the set-up as it sees it.
READ = (
    "(__import__('tinypkg').__version__, __import__('os').environ['MODE'], "
    "__import__('os').environ['HF_TOKEN'], open('data/x.whl', 'rb').read(2), "
    "__import__('sys').prefix)"
)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with a tiny package in two versions, which serves files too."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        make_wheel(folder, "tinypkg", version)
    make_humanize(folder)
    with serve(folder) as url:
        yield url


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory, index: str) -> Iterator[Workers]:
    """Where workers are started."""
    made = Workers(tmp_path_factory.mktemp("workers"), index)
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def cell(index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a notebook whose setup cell pins a version, and has one line of each other kind."""
    monkeypatch.setenv("HF_TOKEN", CANARY)
    wheel = f"{index.replace('/simple/', '')}/files/tinypkg-1.0-py3-none-any.whl"

    def write(version: str, *lines: str) -> Path:
        common = f"%secret HF_TOKEN\n%pin tinypkg=={version}\n%fetch {wheel} data/x.whl"
        text = "\n".join([MARKER, common, "%env_persist MODE=fast", *lines])
        return notebook(tmp_path / f"{version}-{len(lines)}.ipynb", text)

    return write


@contextmanager
def watched_commands() -> Iterator[List[str]]:
    """Note each command line of a process of this machine that has the canary."""
    seen: List[str] = []
    over = Event()

    def watch() -> None:
        while not over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes()
                except OSError:
                    continue
                if CANARY.encode() in words:
                    seen.append(repr(words))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def apply(path: Path, address: str, capsys: Any, *words: str) -> Tuple[int, Dict[str, Any]]:
    """Run the command; its status, and what it prints."""
    status = main(["setup", "apply", str(path), "--on", address, "--json", *words])
    shown = capsys.readouterr()
    assert CANARY not in shown.out + shown.err
    data, _ = json.JSONDecoder().raw_decode(shown.out)
    return status, data


def by_name(data: Dict[str, Any], size: int = 3) -> Dict[str, Tuple[Any, ...]]:
    """Of each worker its state, its code, and what was done; the first ones of these."""
    values = {x["worker"]: (x["state"], x["code"], sorted(x["changed"])) for x in data["workers"]}
    return {name: value[:size] for name, value in values.items()}


def train(compute: Callable[[List[str]], Sequence[float]]) -> float:
    """Fit y = 3x by gradients of two parts of the data, each computed by a worker."""
    weight = 0.0
    for _ in range(30):
        gradient = "sum((" + str(weight) + " * x - 3 * x) * x for x in range({}, {}))"
        parts = compute([gradient.format(0, 5), gradient.format(5, 10)])
        weight -= sum(parts) / 500
    return round(weight, 3)


# ---------------------------------------------------------------------- Dask
@pytest.fixture(scope="module")
def client(workers: Workers) -> Iterator[Any]:
    """A client of a cluster with two workers."""
    from distributed import Client, LocalCluster

    options = {"n_workers": 0, "host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster, set_as_default=False) as client:
        for name in ("first", "second"):
            start_worker(workers, client, name)
        client.wait_for_workers(2, timeout=60)
        yield client
        workers.stop()


def start_worker(workers: Workers, client: Any, name: str) -> None:
    """Start a worker with its nanny."""
    address = client.scheduler.address
    nanny = "--nanny" if name == "first" else "--no-nanny"
    options = ("--nthreads", "1", "--no-dashboard", nanny, "--name", name)
    workers.start(name, "distributed.cli.dask_worker", address, *options)


def read(client: Any, name: str) -> Any:
    """What a task on a worker has of the set-up."""
    return client.submit(eval, READ, workers=[name], pure=False).result(timeout=60)


def test_dask(client: Any, workers: Workers, cell: Any, capsys: Any) -> None:
    """Each worker gets all of it, once; one that joins too, before its first task.

    The secret is on the workers, and in nothing that Dask, the processes or we show.
    """
    address = client.scheduler.address.replace("tcp://", "dask://")
    with watched_commands() as commands:
        status, data = apply(cell("1.0"), address, capsys)
    all_done = sorted(["HF_TOKEN", "MODE", "data/x.whl", "tinypkg 1.0"])
    assert (status, data["schema"], data["engine"], data["omissions"]) == (0, 1, "Dask", [])
    assert by_name(data) == dict.fromkeys(("first", "second"), ("holds", "", all_done))
    status, data = apply(cell("1.0"), address, capsys)
    assert (status, by_name(data)) == (0, dict.fromkeys(("first", "second"), ("holds", "", [])))
    start_worker(workers, client, "third")
    client.wait_for_workers(3, timeout=60)
    for name in ("first", "second", "third"):
        *values, prefix = read(client, name)
        assert values == ["1.0", "fast", CANARY, b"PK"]
        assert prefix == str(workers.folder / name / "environment")
    assert train(lambda parts: client.gather(client.map(eval, parts, pure=False))) == 3.0
    dump = repr(client.run_on_scheduler(_describe_scheduler))
    assert "colab_magics" in dump and CANARY not in dump
    assert commands == [] and CANARY not in workers.printed()
    version_that_is_loaded(client, cell, capsys, address)
    what_does_not_hold(client, cell, capsys, address)


def _describe_scheduler(dask_scheduler: Any) -> Any:
    shown = [dask_scheduler.worker_plugins, dask_scheduler._to_dict(), vars(dask_scheduler)]
    return [repr(x) for x in shown], list(dask_scheduler.get_logs())


def version_that_is_loaded(client: Any, cell: Any, capsys: Any, address: str) -> None:
    """A worker with another version loaded differs until it is restarted, where that is asked.

    One without a nanny cannot be.
    """
    names = ("first", "second", "third")
    status, data = apply(cell("2.0"), address, capsys)
    assert (status, by_name(data, 2)) == (3, dict.fromkeys(names, ("differs", "restart")))
    status, data = apply(cell("2.0"), address, capsys, "--restart-workers")
    states = {"first": ("holds", ""), "second": ("differs", "restart")}
    assert (status, by_name(data, 2)) == (3, {**states, "third": states["second"]})
    assert read(client, "first")[:2] == ("2.0", "fast")


def what_does_not_hold(client: Any, cell: Any, capsys: Any, address: str) -> None:
    """A version that is not to be had fails, a GPU that is not there differs; the rest is done."""
    status, data = apply(cell("3.0"), address, capsys)
    assert (status, by_name(data, 2)["first"]) == (1, ("failed", "install"))
    assert all("tinypkg" in worker["details"] for worker in data["workers"])
    status, data = apply(cell("2.0", "%gpu require H900"), address, capsys)
    assert (status, by_name(data, 2)["first"]) == (3, ("differs", "gpu"))
    assert read(client, "first")[0] == "2.0"


# ---------------------------------------------------------------------- ipyparallel
@pytest.fixture(scope="module")
def controller(workers: Workers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a controller that notes all tasks, with an engine; the default profile's."""
    from ipyparallel import Client

    folder = tmp_path_factory.mktemp("ipython")
    workers.variables.update(IPYTHONDIR=str(folder), HOME=str(folder))
    workers.start("controller", "ipyparallel.controller", "--ip=127.0.0.1", "--dictdb")
    security = folder / "profile_default" / "security"
    for name in ("ipcontroller-engine.json", "ipcontroller-client.json"):
        until(lambda path=security / name: path.exists() and path.stat().st_size)
    workers.start("engine", "ipyparallel.engine")
    client = Client(str(security / "ipcontroller-client.json"), timeout=60)
    try:
        client.wait_for_engines(1, timeout=60, interactive=False)
        yield client
    finally:
        client.close()
        workers.stop()


def test_ipyparallel(
    controller: Any, workers: Workers, cell: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each engine gets all of it, once; the hub, which notes each task, never sees the secret."""
    monkeypatch.setenv("IPYTHONDIR", workers.variables["IPYTHONDIR"])
    with watched_commands() as commands:
        status, data = apply(cell("1.0"), "ipyparallel", capsys)
    all_done = sorted(["HF_TOKEN", "MODE", "data/x.whl", "tinypkg 1.0"])
    assert (status, by_name(data)) == (0, {"engine 0": ("holds", "", all_done)})
    status, data = apply(cell("1.0"), "ipyparallel", capsys)
    assert (status, by_name(data)) == (0, {"engine 0": ("holds", "", [])})
    noted = controller.db_query({}, keys=["buffers", "content", "header", "result_buffers"])
    buffers = b"".join(bytes(x) for row in noted for x in [*row["buffers"], *row["result_buffers"]])
    assert b"make_plugin" in buffers and CANARY.encode() not in buffers
    assert CANARY not in repr(noted)
    assert train(lambda parts: controller[:].map_sync(eval, parts)) == 3.0
    values = controller[0].apply_sync(eval, READ)
    assert values[:4] == ("1.0", "fast", CANARY, b"PK")
    assert commands == [] and CANARY not in workers.printed()


# ---------------------------------------------------------------------- the notebooks
#: What a worker has of it: installed for it, or there before.
HUMANIZE = "__import__('importlib.metadata', fromlist=['version']).version('humanize')"


@pytest.fixture
def machine(tmp_path: Path, index: str) -> Machine:
    """Where a notebook runs: an environment in which both engines can be imported."""
    return Machine.make(tmp_path / "environment", tmp_path / "home", index, absent=())


def test_a_notebook_trains_over_dask(client: Any, machine: Machine, tmp_path: Path) -> None:
    """docs/engines/dask.ipynb: the workers hold, and the result is that of one machine."""
    machine.variables["DASK_SCHEDULER_ADDRESS"] = client.scheduler.address
    table, _ = run_training("dask", machine, tmp_path)
    assert len(re.findall(r"^holds ", table, re.M)) == len(client.nthreads())
    assert {*client.run(eval, HUMANIZE).values()} == {"4.9.0"}


def test_a_notebook_trains_over_ipyparallel(
    controller: Any, workers: Workers, machine: Machine, tmp_path: Path
) -> None:
    """docs/engines/ipyparallel.ipynb: the engines hold, and the result is that of one machine."""
    machine.variables["IPYTHONDIR"] = workers.variables["IPYTHONDIR"]
    table, _ = run_training("ipyparallel", machine, tmp_path)
    assert len(re.findall(r"^holds +engine", table, re.M)) == len(controller.ids)
    assert {*controller[:].apply_sync(eval, HUMANIZE)} == {"4.9.0"}


# ---------------------------------------------------------------------- as it is typed
def test_what_is_typed_in_a_notebook(
    client: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client is named by its variable; a slip, and a scheduler that is away, have their codes."""
    monkeypatch.setattr(dask, "_ANSWER", 1)
    run = Cells(new_shell())
    run("%load_ext colab_magics\n%env_persist MODE=fast")
    run.shell.user_ns.update(client=client, other=1)
    assert re.search(r"holds +first", run("%setup apply --on client"))
    assert "nothing was changed" in run("%setup apply --on client")
    for word, code in (
        ("other", "no-engine"),
        ("tcp://x:1", "no-engine"),
        ("dask://127.0.0.1:1", "unreachable"),
    ):
        error: Any = run.attempt(f"%setup apply --on {word}").error
        assert error.code == code
    assert isinstance(error, ColabMagicsError)


def test_ray_below_uv_run(tmp_path: Path) -> None:
    """Ray would refuse it: an error of ours, before anything of Ray's is started."""
    program = (
        "from colab_magics.engines.ray import Ray\ntry:\n    Ray('ray').apply(None, {}, False)\n"
        "except Exception as error:\n    print('code:', error.code)"
    )
    uv, root = find_uv_bin(), Path(colab_magics.__file__).parent.parent
    for head, code in (([], "no code"), ([uv, "run", "--no-project", "--offline"], "code: uv-run")):
        done = subprocess.run(
            [*head, sys.executable, "-c", program], cwd=root, capture_output=True, text=True
        )
        assert (code in done.stdout) == bool(head), done.stderr
