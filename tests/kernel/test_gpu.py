"""``%%gpu`` and ``%gpu request`` in real kernels."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest
from doubles import nvml
from support.front_end import started
from support.machine import Machine
from support.notebooks import notebook, shown, whole
from support.other_front_ends import Colab

LOAD = "%load_ext colab_magics"


@pytest.fixture
def with_gpu(machine: Machine, tmp_path: Path) -> Machine:
    """A machine with a T4 that computes."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the NVML double is a Linux shared library")
    log = tmp_path / "log"
    log.touch()
    variables = {**nvml.environment(nvml.build(tmp_path), "busy"), "FAKE_NVML_LOG": str(log)}
    names = ("LD_LIBRARY_PATH", "FAKE_NVML", "FAKE_NVML_LOG")
    return replace(
        machine, variables={**machine.variables, **{name: variables[name] for name in names}}
    )


def test_a_cell_that_holds_the_gil_is_sampled(with_gpu: Machine, folder: Path) -> None:
    """One call into C, until five samples were taken meanwhile; and Ctrl-C reaches the cell alone.

    The call ends by itself after 50 seconds without.
    """
    with started(with_gpu, folder) as kernel:
        page = kernel.page()
        page.ok(f"{LOAD}\nimport os, signal{nvml.SAMPLED}")
        page.ok("%%gpu -q -o\npass")
        page.ok("gpu_cost.samples.count")  # the sampler has answered, so that it has started
        page.ok("%%gpu -q -o\nstatus = hold(5)")
        status, count = map(int, page.ok("print(status, gpu_cost.samples.count)").text.split())
        assert status == 0 and count >= 5
        # As a Jupyter server interrupts: all processes of the kernel's group.
        interrupt = "os.killpg(os.getpgid(0), signal.SIGINT)"
        answer = page.run(f"%%gpu\n{interrupt}\nwhile True: pass")
        assert answer.reply["ename"] == "KeyboardInterrupt"
        assert re.search(r"KeyboardInterrupt after .* · \d+ samples?, ", answer.text)
        assert "0 Tesla T4 · peak memory 1.00 GiB of this process" in page.ok("%%gpu\npass").text


def test_what_a_cell_cost_is_a_picture(with_gpu: Machine, folder: Path) -> None:
    """A page gets HTML with an image, and plain text for where that is not drawn."""
    with started(with_gpu, folder) as kernel:
        answer = kernel.page().ok(
            f"{LOAD}{nvml.SAMPLED}get_ipython().run_cell('%%gpu\\nsampled(6)')"
        )
        data: Dict[str, Any] = answer.of("display_data")[-1]["data"]
    assert "data:image/svg+xml;base64," in data["text/html"]
    assert "load 0" in data["text/plain"] and "<img" not in data["text/plain"]


@pytest.mark.once
def test_a_gpu_that_colab_is_to_be_asked_for(machine: Machine, folder: Path) -> None:
    """It stands where Colab keeps it, once; the rest of the metadata stays, and it can go again."""
    path = notebook(folder / "one.ipynb", LOAD, "%gpu request t4", "%gpu request T4")
    raw = whole(path)
    raw["metadata"]["colab"] = {"provenance": [1]}
    path.write_text(json.dumps(raw, indent=1) + "\n")

    def run() -> str:
        done = machine.cli("run", path)
        assert done.returncode == 0, done.stderr
        return "\n".join(shown(path))

    text = run()
    assert "Colab is asked for a T4 GPU from now on. It is a request: " in text
    assert "Colab is asked for a T4 GPU already" in text
    about = whole(path)["metadata"]
    assert (about["accelerator"], about["colab"]) == ("GPU", {"provenance": [1], "gpuType": "T4"})
    again = run()
    assert "from now on" not in again
    assert whole(path)["metadata"] == about

    path.write_text(path.read_text().replace("%gpu request t4", "%gpu request none"))
    path.write_text(path.read_text().replace("%gpu request T4", "pass"))
    assert "Colab is asked for no GPU from now on" in run()
    assert whole(path)["metadata"]["colab"] == {"provenance": [1]}
    assert "accelerator" not in whole(path)["metadata"]


def test_a_request_where_nobody_keeps_it(machine: Machine, folder: Path) -> None:
    """Colab's own menu is named there; an executor writes nothing."""
    with started(machine, folder, served=False) as kernel:
        page = kernel.open(Colab)
        page.ok(LOAD)
        answer = page.run("%gpu request T4")
        assert answer.reply["ename"] == "NotebookError"
        assert "Runtime > Change runtime type" in answer.text
    with started(machine, folder, served=False) as kernel:
        page = kernel.page()
        page.ok(LOAD)
        assert (
            "Not requested: an executor runs the notebook"
            in page.ok("%gpu request T4", allow_stdin=False).text
        )
