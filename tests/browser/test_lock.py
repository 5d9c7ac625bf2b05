"""The lock in the notebook that is open: put into its metadata, and used by its setup cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from doubles.index import make_wheel
from doubles.watched import watch
from support.kernels import register
from support.machine import Machine
from support.notebooks import whole
from support.window import LOAD, Server, Window, until

from .conftest import EVERY, Open, on

PIN = f"{LOAD}\n%pin tinyapp==1.0"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """An index's folder: tinyapp needs tinydep, of which there is one release."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "tinyapp", "1.0", requires=["tinydep"])
    make_wheel(folder, "tinydep", "1.0")
    return folder


@pytest.fixture
def machine(server: Server, wheels: Path, tmp_path: Path) -> Iterator[Machine]:
    """An environment whose index that is, as the kernel ``pinning``."""
    with watch(wheels) as index:
        made = Machine.make(tmp_path / "environment", tmp_path / "home", index.url)
        env = {name: made.variables[name] for name in ("PIP_CONFIG_FILE", "PIP_INDEX_URL")}
        # The rest of what a person who runs the tests may have set for pip.
        register("pinning", made.python, server.data, {**env, "PIP_FIND_LINKS": ""})
        yield made


def names(machine: Machine) -> List[str]:
    """What was installed: ``name-version``."""
    return sorted(one[: -len(".dist-info")] for one in machine.installed())


def ours(window: Window) -> Dict[str, Any]:
    """What is ours in the notebook's metadata on disk."""
    found: Dict[str, Any] = whole(window.path)["metadata"].get("colab_magics", {})
    return found


@on("lab-rtc", long=EVERY)
def test_locked_kept_and_restored(
    server: Server, machine: Machine, wheels: Path, open_notebook: Open
) -> None:
    """A pin locks the set; a wiped machine gets just that a release later; nothing is asked."""
    window = open_notebook(server, PIN, "", "%pin lock --check", "", kernel="pinning")
    window.type(1, "unsaved = 1")
    shown = window.run(0, "Lock updated")
    assert "Lock updated (2 packages)" in shown and "not saved" not in shown
    lock = ours(window)["lock"]
    assert "tinydep-1.0-py3" in lock
    assert window.on_disk()[2] == "unsaved = 1", "what was typed is saved along"
    assert "This machine is as the lock says (2 packages" in window.run(3, "lock")
    assert window.dialogs == 0

    window.page.close()
    server.end_kernels()
    machine.uninstall("tinyapp", "tinydep")
    make_wheel(wheels, "tinydep", "2.0")
    window = open_notebook(server, name=window.path.stem)
    assert "tinyapp 1.0 and 1 more installed" in window.run(0, "installed")
    assert names(machine) == ["tinyapp-1.0", "tinydep-1.0"]
    assert ours(window)["lock"] == lock

    window.type(4, "%pin tinydep==2.0")
    assert "Lock updated (2 packages)" in window.run(4, "Lock updated")
    until(lambda: "tinydep-2.0-py3" in ours(window)["lock"], "the new lock is on disk")
    assert window.dialogs == 0


@on("lab", long=EVERY)
def test_what_else_is_in_the_metadata_stays(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """``--no-lock`` and forgetting change the lock alone, and only that is saved of ours."""
    cells = (PIN, "%pin tinydep --no-lock", "%setup forget pin")
    window = open_notebook(server, *cells, kernel="pinning")
    window.js("panel.content.model.sharedModel.setMetadata('mine', {keep: [1]})")
    window.js("panel.content.model.sharedModel.setMetadata('colab_magics', {other: 2})")
    window.run(0, "Lock updated (2 packages)")
    until(lambda: {"lock", "other"} <= set(ours(window)), "both are on disk")
    window.run(2, "This notebook keeps no lock from now on")
    until(lambda: ours(window).get("lock") == "off", "it is off on disk")
    assert ours(window)["other"] == 2
    assert whole(window.path)["metadata"]["mine"] == {"keep": [1]}
    assert window.dialogs == 0


@on(long=EVERY)
def test_a_kernel_may_keep_nothing_but_a_lock(
    server: Server, machine: Machine, open_notebook: Open
) -> None:
    """What does not look like a lock is not taken into the metadata."""
    ask = (
        "from colab_magics.notebook.comm import ask, present\n"
        "from colab_magics.extension.session import get_session\n"
        "host = get_session(get_ipython()).host\n"
        "said = [ask(host, 'keep', what='lock', value=text)['status'] for text in TEXTS]\n"
        "print(present(host), said)"
    )
    texts = "TEXTS = ['<script>', '', 'trusted', 'off']\n"
    window = open_notebook(server, f"{LOAD}\n{texts}{ask}", kernel="pinning")
    shown = window.run(0, "True")
    assert "True ['refused', 'refused', 'refused', 'ok']" in shown
    until(lambda: ours(window) == {"lock": "off"}, "that alone is on disk")
