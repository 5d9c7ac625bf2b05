"""``%gpu`` and ``%%gpu`` in an open notebook, on a card that the NVML double plays."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from doubles import nvml
from support.kernels import register
from support.notebooks import whole
from support.window import LOAD, Server, Window, until

from .conftest import EVERY, Open, on

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the NVML double is a Linux shared library"
)


@pytest.fixture
def busy(server: Server, tmp_path: Path) -> str:
    """A kernel on a machine with a T4 that computes."""
    variables = nvml.environment(nvml.build(tmp_path), "busy")
    scenario = tmp_path / "scenario.json"
    scenario.write_bytes(Path(variables["FAKE_NVML"]).read_bytes())
    log = tmp_path / "log"
    log.touch()
    env = {"LD_LIBRARY_PATH": variables["LD_LIBRARY_PATH"], "FAKE_NVML": str(scenario)}
    env["FAKE_NVML_LOG"] = str(log)
    register("busy", Path(sys.executable), server.data, env)
    return "busy"


def about(window: Window) -> Dict[str, Any]:
    """What Colab reads in the notebook's metadata on disk."""
    metadata = whole(window.path)["metadata"]
    return {name: metadata[name] for name in ("accelerator", "colab") if name in metadata}


@on("lab", long=EVERY)
def test_the_cost_of_a_cell_is_drawn(server: Server, busy: str, open_notebook: Open) -> None:
    """The picture is there, loaded, as large as it says, and still there when opened again."""
    first = f"{LOAD}\n%gpu{nvml.SAMPLED}"
    window = open_notebook(server, first, "", "%%gpu\nsampled(6)", kernel=busy)
    assert "0 Tesla T4" in window.run(0, "Tesla")
    assert "samples, longest gap" in window.run(3, "samples")
    drawn = (
        "const image = panel.content.widgets[3].node.querySelector('.jp-OutputArea img');"
        "return image && image.complete ? [image.naturalWidth, image.naturalHeight] : null"
    )
    until(lambda: window.js(drawn) == [560, 64], "the picture is drawn")
    assert window.dialogs == 0
    window.save()
    until(lambda: "image/svg+xml" in window.path.read_text(), "the picture is on disk")
    window.page.close()
    window = open_notebook(server, name=window.path.stem)
    until(lambda: window.js(drawn) == [560, 64], "the picture is drawn again")


@on("lab-rtc", long=EVERY)
def test_a_request_is_kept_where_colab_reads_it(server: Server, open_notebook: Open) -> None:
    """In the metadata on disk, beside what Colab has there; what is no name is not taken."""
    ask = (
        "from colab_magics.notebook.comm import ask\n"
        "from colab_magics.extension.session import get_session\n"
        "host = get_session(get_ipython()).host\n"
        "print([ask(host, 'keep', what=what, value='x y')['status'] for what in ('gpu', 'kernel')])"
    )
    cells = (f"{LOAD}\n%gpu request T4", "%gpu request T4", "%gpu request none", ask)
    window = open_notebook(server, *cells)
    window.js("panel.content.model.sharedModel.setMetadata('colab', {toc: true})")
    assert "Colab is asked for a T4 GPU from now on" in window.run(0, "Colab")
    expected = {"accelerator": "GPU", "colab": {"toc": True, "gpuType": "T4"}}
    until(lambda: about(window) == expected, "it is on disk")
    assert "already" in window.run(1, "Colab")
    window.run(2, "Colab is asked for no GPU from now on")
    until(lambda: about(window) == {"colab": {"toc": True}}, "it is gone from disk")
    assert "['refused', 'refused']" in window.run(3, "refused")
    assert window.dialogs == 0


@on("lab", long=EVERY)
def test_a_watch_follows_the_card(
    server: Server, busy: str, tmp_path: Path, open_notebook: Open
) -> None:
    """One display changes with the card while nothing runs, until it is stopped."""
    window = open_notebook(server, f"{LOAD}\n%gpu watch", "%gpu watch stop", kernel=busy)
    watch = window.start(0)
    window.finish(watch, "1.4 of 15.0 GiB")
    scenario = tmp_path / "scenario.json"
    text = scenario.read_text().replace('"used": 1178', '"used": 9178')
    (tmp_path / "new.json").write_text(text)
    (tmp_path / "new.json").replace(scenario)
    until(lambda: "9.2 of 15.0 GiB" in window.shown(watch), "the display has changed")
    shown = window.shown(watch)
    assert shown.count("Tesla T4") == 1 and "stop: %gpu watch stop" in shown
    window.finish(window.start(1))
    until(lambda: "stopped" in window.shown(watch), "it says that it is stopped")
    assert window.dialogs == 0
