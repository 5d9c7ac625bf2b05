"""Notebooks in the shapes that people write, adopted and run for real, twice."""

from __future__ import annotations

import io
import shlex
import tarfile
import zipfile
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

import pytest
from doubles import files_server, git_server
from support.colab_machine import as_colab
from support.front_end import started
from support.machine import Machine
from support.notebooks import MARKER, notebook, setup_text, shown, source, state, whole
from support.other_front_ends import Colab

pytestmark = pytest.mark.once

CHECK = "import os\nprint('ready', sorted(os.listdir()))"


class World(NamedTuple):
    """The servers on loopback, and the addresses of what they have."""

    git: git_server.Server
    files: files_server.Server
    repository: str
    zipped: str
    packed: str


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A repository, a zip and a tar, each with a file or two."""
    git, files = git_server.Server(tmp_path / "repositories"), files_server.Server()
    url = git.make(
        "project",
        **{"requirements.txt": "tinypkg==1.0\n", "helper.py": "VALUE = 7\n", "data.txt": "d\n"},
    )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("train.csv", "1,2\n")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("images/one.txt")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"one"))
    zipped = files.put("/set.zip", data.getvalue())
    yield World(git, files, url, zipped, files.put("/images.tar.gz", packed.getvalue()))
    git.close()
    files.close()


def pip_in_all_spellings(world: World, drive: Path) -> Tuple[str, ...]:
    """Installs, an uninstall before a pin, and what only prints."""
    return (
        "!pip install -q --upgrade pip\n!pip uninstall -y tinypkg\n%pip install 'tinypkg>=1,<2'",
        "!python -m pip install \\\n    tinyother==2.0 \\\n    --no-cache-dir\n!pip list | head -3",
        "import tinypkg, tinyother\nprint(tinypkg.__version__, tinyother.__version__)",
    )


def clone_and_requirements(world: World, drive: Path) -> Tuple[str, ...]:
    """A bare clone, a relative cd, requirements of the clone."""
    return (
        f"#@title Setup\n!git clone {world.repository}\n%cd project\n!pip install -r "
        "requirements.txt",
        "import helper\nprint(helper.VALUE)",
    )


def guarded_by_variables(world: World, drive: Path) -> Tuple[str, ...]:
    """Constants that commands interpolate, and a guard that pulls."""
    return (
        f"import os\nURL = '{world.repository}'\nPLACE = '/content/work'\n"
        "if os.path.exists(PLACE):\n    %cd {PLACE}\n    !git pull\nelse:\n"
        "    !git clone {URL} {PLACE}\n    %cd {PLACE}\nprint(f'in {os.getcwd()}')",
        CHECK,
    )


def zip_from_the_web(world: World, drive: Path) -> Tuple[str, ...]:
    """A download, an unzip that would ask, and the archive removed."""
    return (
        f"!mkdir data\n!wget -q {world.zipped} -O data/set.zip\n"
        "!unzip -q data/set.zip -d data\n!rm data/set.zip\n!ls data",
        "print(open('data/train.csv').read())",
    )


def from_the_drive(world: World, drive: Path) -> Tuple[str, ...]:
    """A mount, a folder of the drive, modules of it, an archive on it."""
    return (
        "from google.colab import drive\ndrive.mount('/content/drive', force_remount=True)",
        "import os, sys\nsys.path.append('/content/drive/My Drive/modules')\n"
        "!unzip -o '/content/drive/My Drive/set.zip' -d /content/data",
        "import mine\nprint(mine.VALUE, open('data/train.csv').read())",
    )


def environment(world: World, drive: Path) -> Tuple[str, ...]:
    """Variables in several spellings, below a cell magic that hides what is printed."""
    return (
        "%%capture\nimport os\nos.environ['SHADE'] = 'blue'\n%env SIZE=3\n"
        "os.environ['PATH'] += ':/opt/tools'\n%load_ext autoreload\n%autoreload 2",
        "import os\nassert os.environ['PATH'].endswith('/opt/tools')\n"
        "print(os.environ['SHADE'], os.environ['SIZE'])",
    )


def tar_by_curl(world: World, drive: Path) -> Tuple[str, ...]:
    """A download by curl, unpacked in a folder that is made for it."""
    return (
        f"!mkdir -p sets && curl -sL {world.packed} -o sets/images.tar.gz\n"
        "%cd sets\n!tar -xzf images.tar.gz\n!rm images.tar.gz",
        CHECK,
    )


def code_in_between(world: World, drive: Path) -> Tuple[str, ...]:
    """Code of the user's between steps, which keeps its place, and a program that stays below."""
    return (
        "from pathlib import Path\ndef write(name):\n    path = Path(name)\n"
        "    path.exists() or path.write_text('made')\n"
        "!pip install tinypkg==1.0\nwrite('made.txt')\n!pip install tinyother==1.0\n"
        "!python -c \"print(open('made.txt').read())\"",
        CHECK,
    )


def for_colab_alone(world: World, drive: Path) -> Tuple[str, ...]:
    """The test for Colab, whose steps hold on any host, and what is needless today."""
    return (
        "try:\n    import google.colab\n    IN_COLAB = True\nexcept ImportError:\n"
        "    IN_COLAB = False\nif IN_COLAB:\n    !pip install tinypkg==2.0\n"
        "%tensorflow_version 1.x",
        "import tinypkg\nprint(tinypkg.__version__)",
    )


def script_of_the_shell(world: World, drive: Path) -> Tuple[str, ...]:
    """A cell of bash, whose folder is its own, with a guard and a variable of the environment."""
    return (
        "import os\nos.environ['PLACE'] = '/content/repo'",
        f'%%bash\nset -e\nif [ ! -d "$PLACE" ]; then\n  git clone {world.repository} "$PLACE"\nfi\n'
        "cd $PLACE\npip install -q -r requirements.txt",
        CHECK,
    )


SHAPES: List[Tuple[Callable[[World, Path], Tuple[str, ...]], str]] = [
    (pip_in_all_spellings, "1.0 2.0"),
    (clone_and_requirements, "7"),
    (guarded_by_variables, "ready ['.git', 'data.txt', 'helper.py', 'requirements.txt']"),
    (zip_from_the_web, "1,2"),
    (from_the_drive, "9 1,2"),
    (environment, "blue 3"),
    (tar_by_curl, "ready ['images']"),
    (code_in_between, "ready ['made.txt', 'nb.ipynb']"),
    (for_colab_alone, "2.0"),
    (script_of_the_shell, "ready ['nb.ipynb', 'repo']"),
]


def _files(folder: Path) -> Dict[str, Tuple[int, bytes]]:
    """What is in a folder, less the notebook and what Python and git note for themselves."""
    left_out = ("nb.ipynb", "__pycache__", ".git/")
    return {k: v for k, v in state(folder).items() if not any(part in k for part in left_out)}


@pytest.mark.parametrize(("shape", "result"), SHAPES, ids=lambda x: getattr(x, "__name__", ""))
def test_an_adopted_notebook_runs_and_its_second_run_changes_nothing(
    shape: Callable[[World, Path], Tuple[str, ...]],
    result: str,
    machine: Machine,
    world: World,
    folder: Path,
) -> None:
    """It does what it did, once: later runs install, fetch and clone nothing, and ask nobody."""
    drive = machine.home / "drive" / "MyDrive"
    (drive / "modules").mkdir(parents=True)
    (drive / "modules" / "mine.py").write_text("VALUE = 9\n")
    (drive / "set.zip").write_bytes(world.files.files["/set.zip"].data)
    path = notebook(folder / "nb.ipynb", *shape(world, drive))
    before = path.read_bytes()
    done = machine.cli("setup", "adopt", path, "--replace")
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == [path] and not world.git.asked, "nothing is executed"
    adopted = path.read_bytes()

    first = machine.cli("run", path)
    assert first.returncode == 0, first.stderr
    assert result in shown(path)[-1], setup_text(path)
    text, files, packages = setup_text(path), _files(folder), machine.installed()
    asked = len(world.git.asked), len(world.files.asked)

    second = machine.cli("run", path)
    assert second.returncode == 0, second.stderr
    assert result in shown(path)[-1]
    assert (setup_text(path), _files(folder), machine.installed()) == (text, files, packages)
    assert (len(world.git.asked), len(world.files.asked)) == asked

    path.write_bytes(adopted)
    assert machine.cli("setup", "adopt", path, "--undo").returncode == 0
    assert path.read_bytes() == before


def test_an_old_cell_is_inert_and_what_stays_in_it_runs(machine: Machine, folder: Path) -> None:
    """With --replace the lines are comments below a mark; the program that stays is none."""
    path = notebook(folder / "nb.ipynb", "!pip install tinypkg==1.0\n!echo x > made\n!echo hi")
    assert machine.cli("setup", "adopt", path, "--replace").returncode == 0
    setup, old = map(source, whole(path)["cells"])
    assert setup.endswith("%pin tinypkg==1.0")
    assert old.split("\n")[1:] == ["# !pip install tinypkg==1.0", "!echo x > made", "# !echo hi"]
    again = machine.cli("setup", "adopt", path, "--replace")
    assert again.returncode == 0 and list(map(source, whole(path)["cells"])) == [setup, old]


def test_in_a_notebook_that_runs_the_setup_cell_is_written(machine: Machine, folder: Path) -> None:
    """By the writer that applies, without the cell that asks for it; and undone."""
    cells = ("%load_ext colab_magics\n%setup adopt", "import os\nos.environ['TINY'] = '1'")
    path = notebook(folder / "nb.ipynb", *cells)
    done = machine.cli("run", path)
    assert done.returncode == 0, done.stderr
    assert (setup_text(path) or "").split("\n")[-1] == "%env_persist TINY=1"
    assert tuple(map(source, whole(path)["cells"][1:])) == cells
    other = notebook(folder / "other.ipynb", f"{cells[0]}\n%setup adopt --undo", cells[1])
    done = machine.cli("run", other)
    assert done.returncode == 0 and setup_text(other) is None, done.stderr


def test_in_an_open_notebook_replace_names_the_command_that_does_it(
    machine: Machine, folder: Path
) -> None:
    """Its old cells are left to its page; once it is closed, that command makes them inert."""
    cells = ("%load_ext colab_magics\n%setup adopt --replace", "%env MODE=fast\n!ls")
    path = notebook(folder / "my nb.ipynb", *cells)
    assert machine.cli("run", path).returncode == 0
    text = setup_text(path)
    assert (text or "").endswith("%env_persist MODE=fast")
    assert tuple(map(source, whole(path)["cells"][1:])) == cells
    command = next(line for line in shown(path)[1].split("\n") if "--replace" in line)
    words = shlex.split(command.rpartition("colab-magics ")[2])
    assert words == ["setup", "adopt", path.name, "--replace"]
    assert machine.cli(*words, cwd=folder).returncode == 0
    assert setup_text(path) == text
    assert source(whole(path)["cells"][2]).split("\n")[1:] == [
        "# %env MODE=fast",
        "# !ls",
    ]


def test_on_colab_the_cell_that_asks_becomes_the_setup_cell(machine: Machine, folder: Path) -> None:
    """Its browser gives the cells as they are; a dry run asks it for no change."""
    replace = "%setup adopt --replace"
    cells = ("%load_ext colab_magics", "%setup adopt --dry-run", replace, "%setup adopt 9")
    with started(as_colab(machine), folder) as kernel:
        page = kernel.open(Colab, *cells, "!pip install tinypkg==1.0\n!ls")
        page.play_ok(0)
        completed = page.request("complete", code="%setup adopt --rep", cursor_pos=18)
        assert completed["matches"] == ["--replace"]
        assert "%pin tinypkg==1.0" in page.play_ok(1).text and page.cells[1] == cells[1]
        assert "colab-magics setup" not in page.play_ok(2).text, "no shell reaches its file"
        assert page.cells[4].startswith("!pip"), "a person's cell"
        assert MARKER in page.cells[2] and page.cells[2].endswith("%pin tinypkg==1.0")
        assert page.play(3).reply["ename"] == "NotebookError"
