"""What ``%gpu`` and ``%%gpu`` cost, beside peers, in the same run: on the GPUs that are here, else
on the NVML double.

``python tests/benchmarks/gpu.py`` prints milliseconds and shares of a core. Beside the sampler: a
thread of Python's, and ipyexperiments where it is installed, while one call into C holds the GIL.
Processor time is the process's own, from ``/proc``: wall clocks are too noisy for shares below 1 %.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import threading
import time
import types
from pathlib import Path
from typing import Any, Dict, List

from timing import milliseconds, record

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

#: Long enough that one call holds the GIL for about five seconds here.
HOLD = 4 * 10**8
IDLE = 10.0


def look() -> None:
    """``%gpu`` once loaded, and one sample of two cards."""
    from colab_magics.gpu.devices import take_snapshot
    from colab_magics.gpu.format import draw_rows, list_names
    from colab_magics.gpu.frameworks import describe_frameworks
    from colab_magics.gpu.nvidia import open_nvml, read_gpus

    def show() -> None:
        gpus = take_snapshot().gpus
        draw_rows(gpus), describe_frameworks(gpus)

    cards = list_names(take_snapshot().gpus)
    ours, peers = milliseconds(show), {}
    print(f"%gpu, {cards}: {ours:.2f} ms (promised: under 20)")
    for name, *words in (("gpustat",), ("nvitop", "--once", "--colorful")):
        command = [sys.executable, "-m", name, *words]
        if importlib.util.find_spec(name):
            peers[f"!{name}"] = each = milliseconds(lambda: silent(command), 5)  # noqa: B023
            print(f"{name}, a process each time: {each:.0f} ms")
    record("the table of two GPUs", "ms", ours, peers)
    with open_nvml() as nvml:
        devices = read_gpus(nvml)[1]
        read = milliseconds(lambda: [device.sample() for device in devices])
        print(f"one sample: {read:.3f} ms (promised: under 1, of two cards)")


def silent(command: List[str]) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, capture_output=True, check=True)


def cells() -> Any:
    """What ``%%gpu`` adds to a cell once the sampler runs."""
    from support.cells import new_shell

    shell = new_shell()
    shell.run_cell("%load_ext colab_magics")
    shell.run_cell("%%gpu -q\npass")
    with_it = milliseconds(lambda: shell.run_cell("%%gpu -q\npass"))
    without = milliseconds(lambda: shell.run_cell("pass"))
    print(f"a cell: {without:.2f} ms, with %%gpu {with_it:.2f} ms (promised: under 5 more)")
    return shell


def share(shell: Any) -> None:
    """The sampler's own processor time at ten samples a second."""
    from colab_magics.extension.session import get_session
    from colab_magics.gpu.magic_measure import Measuring

    pid = get_session(shell).hooks.of(Measuring)._idle[-1].pid
    before = _busy(pid)
    shell.run_cell(f"%%gpu -q -o\nimport time; time.sleep({IDLE})")
    used = 100 * (_busy(pid) - before) / IDLE
    count = shell.user_ns["gpu_cost"].samples.count
    print(f"sampler: {used:.2f} % of a core, {count} samples in {IDLE:.0f} s (promised: under 0.5)")


def hold(shell: Any) -> None:
    """The longest time without a sample while one call holds the GIL."""
    cell = f"_ = sum(range({HOLD}))"
    shell.run_cell(f"%%gpu -q -o\n{cell}")
    cost = shell.user_ns["gpu_cost"]
    print(f"the GIL is held for {cost.seconds:.1f} s, longest gap (promised: under 0.5):")
    print(f"  sampler: {cost.samples.gap:.2f} s, {cost.samples.count} samples")
    times, done = [time.monotonic()], threading.Event()

    def sample() -> None:
        while not done.wait(0.1):
            times.append(time.monotonic())

    thread = threading.Thread(target=sample)
    thread.start()
    shell.run_cell(cell)
    done.set()
    thread.join()
    print(f"  a thread at 10 Hz: {_gap(times):.2f} s, {len(times) - 1} samples")
    subject = "the longest gap of samples while C code holds the GIL"
    record(subject, "s", cost.samples.gap, {"a thread": _gap(times), **peer(shell, cell)})


def peer(shell: Any, cell: str) -> Dict[str, float]:
    """The peer ipyexperiments follows the memory of each cell from a thread.

    Here without its GPU part, which needs a torch that has CUDA.
    """
    if importlib.util.find_spec("ipyexperiments") is None:
        print("  ipyexperiments: not installed here")
        return {}
    from ipyexperiments import IPyExperimentsCPU, cell_logger

    looked, look = [time.monotonic()], cell_logger.cpu_ram_used
    cell_logger.cpu_ram_used = lambda: (looked.append(time.monotonic()), look())[1]
    with contextlib.redirect_stdout(io.StringIO()):
        shell.kernel = types.SimpleNamespace(shell=shell)  # it looks for its shell there
        experiment = IPyExperimentsCPU()
        looked[:] = [time.monotonic()]
        shell.run_cell(cell)
        gap, count, before = _gap(looked), len(looked), time.process_time()
        shell.run_cell(f"import time; time.sleep({IDLE / 2})")
        used = 200 * (time.process_time() - before) / IDLE
        del experiment
    print(f"  ipyexperiments: {gap:.2f} s, {count} samples; {used:.1f} % of a core when idle")
    return {"ipyexperiments": gap}


def _gap(times: List[float]) -> float:
    """The longest time between two, until now."""
    return max(later - earlier for earlier, later in zip(times, [*times[1:], time.monotonic()]))


def _busy(pid: int) -> float:
    """Seconds of processor time of a process."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main() -> None:
    """Where there is no GPU, again in a process whose NVML is the double."""
    from doubles import nvml

    from colab_magics.gpu.devices import take_snapshot

    if not take_snapshot().gpus and "FAKE_NVML" not in os.environ:
        with tempfile.TemporaryDirectory() as folder:
            environment = nvml.environment(nvml.build(Path(folder)), "two")
            subprocess.run([sys.executable, __file__], env=environment, check=True)
        return
    look()
    shell = cells()
    share(shell)
    hold(shell)


if __name__ == "__main__":
    main()
