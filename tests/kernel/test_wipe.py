"""The promise itself: a machine is wiped, and one cell brings the setup back."""

from __future__ import annotations

from pathlib import Path

from support.front_end import started
from support.notebooks import notebook, setup_text, shown, state

from .conftest import MakeMachine

LOOK = """\
import os, tinypkg, tinyother
print(tinypkg.__version__, tinyother.__version__)
print(os.path.basename(os.getcwd()), open("data.txt").read(), end="")
print(os.path.realpath(os.path.expanduser("~/drive/MyDrive")) == os.path.realpath(".."))"""

FOUND = "1.0 2.0\nproject seven\nTrue\n"


def test_after_a_wipe_the_setup_cell_alone_brings_all_back(
    make_machine: MakeMachine, folder: Path, tmp_path: Path
) -> None:
    """Versions, drive and folder are back; Run All twice then installs and writes nothing."""
    project = folder / "kept" / "project"
    project.mkdir(parents=True)
    (project / "data.txt").write_text("seven\n")
    path = notebook(
        folder / "nb.ipynb",
        "%load_ext colab_magics",
        "%pin tinypkg==1.0",
        "%pin tinyother",
        "%drive mount ~/drive --from kept",
        "%cd_persist drive:project",
        LOOK,
        kernelspec={"name": "python3", "display_name": "Python 3"},
    )
    first = make_machine()
    done = first.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert shown(path)[-1] == FOUND
    text = setup_text(path)
    assert text is not None

    wiped = make_machine()
    assert wiped.installed() == {} and not (wiped.home / "drive").exists()
    with started(wiped, folder) as kernel:
        page = kernel.page()
        assert page.ok(text).payload == []
        assert page.ok(LOOK).text == FOUND
        assert "differs" not in page.ok("%setup").text

    installed, files = wiped.installed(), state(folder)
    assert set(installed) == {"tinypkg-1.0.dist-info", "tinyother-2.0.dist-info"}
    for _ in range(2):
        wiped.execute(path, tmp_path / "out.ipynb")
        assert shown(tmp_path / "out.ipynb")[-1] == FOUND
        assert wiped.installed() == installed
        assert state(folder) == files
