"""On a machine set up as Colab's: its kernel class, its shell class, its configuration."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Iterator

import pytest
from support.colab_machine import as_colab
from support.front_end import Answer, started
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown
from support.other_front_ends import Colab

from colab_magics.pin.environments.interpreters import platform
from colab_magics.pin.environments.store import Environment, register_kernel
from colab_magics.pin.uv import find_uv

_OWNERS = "for kind in ('line', 'cell'): print(magics[kind]['shell'].__module__)"
OURS, COLABS = "colab_magics.extension.registration", "google.colab._system_commands"


class Page(Colab):
    """Colab's page; each cell says that it is one of Colab's."""

    def ok(self, code: str, allow_stdin: bool = True) -> Answer:
        """Run a cell that must end well."""
        answer = self.run(code, allow_stdin, self.about(0))
        assert answer.reply["status"] == "ok", answer.text
        return answer


@pytest.fixture(scope="module")
def colab(tmp_path_factory: pytest.TempPathFactory, index: str) -> Machine:
    """A machine set up as Colab's."""
    folder = tmp_path_factory.mktemp("colab")
    return as_colab(Machine.make(folder / "environment", folder / "home", index))


@pytest.fixture(scope="module")
def opened(colab: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Colab's page on a kernel there."""
    with started(colab, tmp_path_factory.mktemp("content")) as kernel:
        yield kernel.open(Page)


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """The same page for each test, with our extension and none of the names of another."""
    opened.ok("%reset -f\n%reload_ext google.colab\n%load_ext colab_magics")
    opened.ok("magics = get_ipython().magics_manager.magics")
    yield opened
    opened.ok("%unload_ext colab_magics")


def test_the_rig_is_colabs_as_far_as_the_registries_carry_it(page: Page) -> None:
    """Kernel and shell are of Colab's classes, without jedi, and with what it loads before us."""
    shown = page.ok(
        "import sys; shell = get_ipython()\n"
        "print(type(shell.kernel).__module__, type(shell).__module__, shell.Completer.use_jedi)\n"
        "print('packaging' in sys.modules, shell.kernel.parent.transport)"
    ).text
    assert shown.split() == ["google.colab._kernel", "google.colab._shell", "False", "True", "ipc"]


def test_colabs_package_reloaded_does_not_take_our_shell(page: Page) -> None:
    """Ours is there from the next cell on; unloaded, it gives back Colab's newest."""
    before = page.ok("print(id(magics['line']['shell']))").text
    page.ok("%reload_ext google.colab")
    assert page.ok(_OWNERS).text.split() == [OURS, OURS]
    assert page.ok("print(id(magics['line']['shell']))").text == before
    page.ok("%shell kept=1")
    assert page.ok("%shell echo $kept").text.strip() == "1"
    page.ok("%unload_ext colab_magics")
    assert page.ok(_OWNERS).text.split() == [COLABS, COLABS]


def test_a_magic_of_the_users_own_stays(page: Page) -> None:
    """Only what Colab's package puts in the place of ours is put back."""
    page.ok("get_ipython().register_magic_function(lambda line: print('mine'), 'line', 'shell')")
    assert page.ok("%shell echo").text.strip() == "mine"


def test_a_line_of_colabs_shell_means_the_same_in_ours(page: Page) -> None:
    """``$name`` is Python's where only Python has it, as before our extension was loaded."""
    page.ok("name = 'data'\n%unload_ext colab_magics")
    before = page.ok("%shell echo $name").text.strip()
    page.ok("%load_ext colab_magics")
    assert "{name}" in page.ok("%shell echo $name").text
    assert page.ok("%shell echo $name").text.strip() == before == "data"


def test_a_restart_that_colab_does_not_offer_is_refused(page: Page) -> None:
    """No word of a server that did not start this kernel: one did; the menu to use is named."""
    page.ok(
        "try: get_ipython().run_line_magic('session', 'restart')\n"
        "except Exception as error: refusal = error"
    )
    code, message, hint = page.ok("print(refusal.code, refusal, sep='\\n')").text.split("\n")[:3]
    assert code == "front-end-only" and "Restart session" in hint
    assert "server" not in message


def test_an_error_has_no_traceback_in_colabs_shell(page: Page) -> None:
    """Its shell sends errors itself."""
    (error,) = page.run("%cd_persist drive:nowhere").of("error")
    assert "Traceback" not in "".join(error["traceback"])


def test_a_cell_magic_alone_runs_in_colabs_shell(page: Page) -> None:
    """``%%env_persist`` without a body, which Colab's shell gives a body of one blank."""
    page.ok("%%env_persist SHOWN=1")
    assert page.ok("import os; print(os.environ['SHOWN'])").text.strip() == "1"


def test_tab_and_help_go_through_colabs_kernel(page: Page) -> None:
    """Colab's kernel completes and inspects by its own methods."""
    assert "--python" in page.request("complete", code="%pin --py", cursor_pos=9)["matches"]
    reply = page.request("inspect", code="%pin", cursor_pos=4)
    assert reply["found"] and "application/json" in reply["data"]


def test_an_old_python_is_no_past_runtime(page: Page, colab: Machine) -> None:
    """The page cannot be switched: what runs with that Python is named, and nothing is made."""
    version = "3.9" if platform() == "3.8" else "3.8"
    answer = page.run(f"%pin tinypkg --python {version}", metadata=page.about(0))
    (error,) = answer.of("error")
    text = "".join(error["traceback"])
    assert error["ename"] == "InstallFailed" and "Runtime version" not in text
    assert f"colab-magics run NOTEBOOK --python {version}" in text
    assert not list(colab.home.rglob("environments/*"))


def test_the_uv_that_is_there_installs_without_our_dependency(page: Page, tmp_path: Path) -> None:
    """Colab's own, in the folder that ``UV_INSTALL_DIR`` names; the wheel of uv may be missing."""
    (tmp_path / "uv").symlink_to(str(find_uv()))
    page.ok(
        "import os, sys; before = dict(os.environ); sys.modules['uv'] = None\n"
        f"os.environ.update(UV_INSTALL_DIR={str(tmp_path)!r}, PATH=os.defpath)"
    )
    answer = page.run("%pin tinypkg==1.0", metadata=page.about(0))
    page.ok("os.environ.clear(); os.environ.update(before); del sys.modules['uv']")
    assert answer.reply["status"] == "ok", answer.text
    assert "tinypkg 1.0 installed" in answer.text


def test_the_kernel_of_another_python_is_not_colabs(
    colab: Machine, folder: Path, index: str
) -> None:
    """A Python without ``google.colab`` has a kernel, though the machine's configuration names
    Colab's class and package for each.
    """
    environment = Environment("nb-0-py3", "3", str(folder / "nb.ipynb"), time.time())
    other = Machine.make(environment.folder, colab.home, index)
    register_kernel(environment)
    (spec,) = Path.home().rglob(f"kernels/{environment.name}/kernel.json")
    shutil.copy(spec, Path(other.variables["JUPYTER_PATH"], "kernels/python3/kernel.json"))
    with started(other, folder) as kernel:
        text = kernel.page().ok("%load_ext colab_magics\nprint(type(get_ipython().kernel))").text
    assert "ipykernel.ipkernel.IPythonKernel" in text


def test_a_run_on_colab_is_in_colabs_kernel(colab: Machine, folder: Path) -> None:
    """``colab-magics run`` without another Python leaves the machine's configuration as it is."""
    kernel = "print(type(get_ipython().kernel).__module__)"
    path = notebook(folder / "nb.ipynb", "%load_ext colab_magics\n%cd_persist .", kernel)
    done = colab.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert shown(path)[-1].strip() == "google.colab._kernel"
    assert "%cd_persist" in (setup_text(path) or "")
