"""A cluster of Ray on this machine: its nodes are processes that a test starts and ends."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator, List

from .machine import Machine
from .serving import free_port
from .waiting import until


@contextmanager
def ray_machine(folder: Path, index: str) -> Iterator[Machine]:
    """A machine with Ray: an index of ours, one attempt at an install, a place for what it writes.

    That place has a short name, since the names of sockets have a limit.
    """
    machine = Machine.make(folder / "environment", folder / "home", index, absent=())
    machine.variables.update(UV_INDEX_URL=index, UV_CACHE_DIR=str(folder / "cache"))
    machine.variables.update(RAY_USAGE_STATS_ENABLED="0", RUNTIME_ENV_RETRY_TIMES="1")
    # With it, some drivers of Ray's client (4 of about 25) were gone when Ray's proxy had forked,
    # with nothing printed. Without it none was, in a few runs: the cause is not proven.
    machine.variables["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    machine.variables["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    try:
        yield machine
    finally:
        shutil.rmtree(machine.variables["RAY_TMPDIR"], ignore_errors=True)


class RayCluster:
    """A head, and the words that start another node; a machine's ``auto`` finds it."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.processes = machine, []
        self.ports = {name: free_port() for name in ("", "ray-client-server-", "dashboard-")}

    @property
    def client(self) -> str:
        """The address of Ray's client."""
        return f"ray://127.0.0.1:{self.ports['ray-client-server-']}"

    @property
    def dashboard(self) -> str:
        """Where the head shows what Ray knows."""
        return f"http://127.0.0.1:{self.ports['dashboard-']}"

    def node(self, name: str, *options: str) -> List[str]:
        """The words that start a node, which is there until it is ended."""
        words = [str(self.machine.python), "-m", "ray.scripts.scripts", "start", "--block"]
        return [*words, "--num-cpus=2", f"--node-name={name}", *options]

    def joining(self, name: str) -> List[str]:
        """The words that start another node."""
        folder = (
            f"--temp-dir={self.machine.variables['RAY_TMPDIR']}/{name}"  # as on another machine
        )
        return self.node(name, f"--address=127.0.0.1:{self.ports['']}", folder)

    def start(self) -> None:
        """Start the head, and wait for its client's port and its dashboard."""
        ports = [f"--{name}port={port}" for name, port in self.ports.items()]
        folder = f"--temp-dir={self.machine.variables['RAY_TMPDIR']}/ray"
        log = Path(self.machine.variables["RAY_TMPDIR"], "head.log")
        with log.open("wb") as file:
            process: Any = subprocess.Popen(
                self.node("first", "--head", "--include-dashboard=true", folder, *ports),
                env=self.machine.variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        self.processes.append(process)
        for port in self.ports.values():
            until(lambda port=port: process.poll() is not None or _answers(port))
        assert process.poll() is None, log.read_text(errors="replace")

    def stop(self) -> None:
        """End what was started."""
        for process in self.processes:
            process.terminate()
            process.wait(60)


def _answers(port: int) -> bool:
    for host in ("127.0.0.1", socket.gethostbyname(socket.gethostname()), _own_address()):
        with suppress(OSError), socket.create_connection((host, port), timeout=1):
            return True
    return False


def _own_address() -> str:
    """The address that Ray takes for this machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


@contextmanager
def ray_cluster(machine: Machine) -> Iterator[RayCluster]:
    """A cluster with one node; ended with the machine's processes that it has started."""
    cluster = RayCluster(machine)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
