"""Exports in the hands of the tools that they are for: afterwards `setup check --strict` holds."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest
from doubles.git_server import Server
from doubles.index import make_wheel, serve
from support.machine import Machine
from support.notebooks import MARKER, notebook, setup_text, shown

from colab_magics.core.host import Host
from colab_magics.export.formats import make
from colab_magics.pin.lock import Lock, environment
from colab_magics.record.cell import parse
from colab_magics.setup.magic_check import Recorded
from colab_magics.setup.magic_export import write
from colab_magics.setup.magic_recipe import make_recipe

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.name == "nt", reason="elsewhere: the scripts are for sh"),
]

LINES = (
    "%pin tinypkg==1.0 tinyother==2.0",
    '%env_persist "GREETING=it\'s here"',
    "%cd_persist work --make",
)
VERSION = "{}.{}".format(*sys.version_info)
#: What a script sees at its end.
_SEEN = 'printf "%s|%s" "$GREETING" "$(basename "$PWD")"'


class World:
    """An index, a fresh machine that asks it, and a notebook in a folder."""

    def __init__(self, folder: Path, index: str) -> None:
        self.folder, self.index = folder / "project", index
        self.machine = Machine.make(folder / "environment", folder / "home", index)
        self.machine.variables.update(
            UV_DEFAULT_INDEX=index,
            UV_CACHE_DIR=str(folder / "cache"),
            PATH=os.pathsep.join([str(self.machine.python.parent), self.machine.variables["PATH"]]),
        )
        self.path = self.save(*LINES)

    def save(self, *lines: str) -> Path:
        """Write the notebook with these lines, and with its lock."""
        metadata = {"colab_magics": {"lock": lock(self.index).encode()}}
        text = "\n".join([MARKER, "%reload_ext colab_magics", *lines])
        return notebook(self.folder / "nb.ipynb", text, **metadata)

    def export(self, *words: object) -> None:
        """Export the notebook, as one types it."""
        done = self.machine.cli("setup", "export", self.path, *words, cwd=self.folder)
        assert done.returncode == 0, done.stderr

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a program on the machine, in the folder, to its success."""
        command = list(map(str, words))
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.machine.variables,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def check(self) -> None:
        """Each line holds on the machine."""
        (self.folder / "work").mkdir(exist_ok=True)  # where a format holds packages alone
        done = self.machine.cli("setup", "check", "--strict", self.path, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr


def lock(index: str) -> Lock:
    """A lock of the two packages, as `%pin lock` makes it on this machine."""
    packages = []
    for name, version in (("tinyother", "2.0"), ("tinypkg", "1.0")):
        file = f"{name}-{version}-py3-none-any.whl"
        url = index.replace("/simple/", f"/files/{file}")
        digest = hashlib.sha256((WHEELS["folder"] / file).read_bytes()).hexdigest()
        wheel = {"url": url, "hashes": {"sha256": digest}}
        packages.append({"name": name, "version": version, "index": index, "wheels": [wheel]})
    about = {"lines": [LINES[0][5:]], "made": "2026-11-30", "python": VERSION, "platform": "linux"}
    return Lock(
        {
            "lock-version": "1.0",
            "environments": [environment()],
            "requires-python": ">=3.8",
            "created-by": "colab_magics",
            "packages": packages,
            "tool": {"colab_magics": about},
        }
    )


WHEELS: Dict[str, Path] = {}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with two packages in two versions."""
    WHEELS["folder"] = folder = tmp_path_factory.mktemp("wheels")
    for name in ("tinypkg", "tinyother"):
        for version in ("1.0", "2.0"):
            make_wheel(folder, name, version)
    with serve(folder) as url:
        yield url


@pytest.fixture
def world(tmp_path: Path, index: str) -> World:
    """A fresh one."""
    return World(tmp_path, index)


@pytest.fixture
def pip(world: World) -> None:
    """Leave out what takes pip where it is not installed."""
    if subprocess.run([str(world.machine.python), "-m", "pip", "--version"]).returncode:
        pytest.skip("pip is not installed: pip install pip")


@pytest.mark.parametrize("name", ["requirements", "pylock"])
def test_uv_installs_it(world: World, name: str) -> None:
    """By ``uv pip install -r``; a lock only under a name that uv takes."""
    file = {"requirements": "requirements.txt", "pylock": "pylock.project.toml"}[name]
    if name == "pylock":
        wrong = ("setup", "export", world.path, "pylock", "-o", "lock.toml")
        assert world.machine.cli(*wrong, cwd=world.folder).returncode == 2
        assert not (world.folder / "lock.toml").exists()
    world.export(name, "-o", world.folder / file)
    world.run("uv", "pip", "install", "--python", world.machine.python, "-r", file)
    world.check()


@pytest.mark.parametrize("shell", ["sh", "dash"])
@pytest.mark.usefixtures("pip")
def test_the_shell_script_runs_twice(world: World, shell: str, tmp_path: Path) -> None:
    """What follows it sees the variables and the folder; a second run changes nothing."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    server = Server(tmp_path / "git")
    try:
        url = server.make("project", README="hello")
        world.save(f"%github clone {url} code", *LINES)
        world.export("shell", "-o", "setup.sh")
        script = world.folder / "setup.sh"
        script.write_text(script.read_text() + _SEEN)
        assert world.run(shell, "setup.sh").stdout == "it's here|work"
        world.check()
        before = (world.folder / "code" / "README").stat().st_mtime_ns
        assert world.run(shell, "setup.sh").stdout == "it's here|work"
        assert (world.folder / "code" / "README").stat().st_mtime_ns == before
    finally:
        server.close()


@pytest.mark.usefixtures("pip")
def test_the_steps_of_the_image_run(world: World) -> None:
    """Each ``RUN`` as Docker runs it, in its ``WORKDIR`` and with its ``ENV``."""
    world.export("dockerfile", "-o", "Dockerfile")
    first, *lines = (world.folder / "Dockerfile").read_text().splitlines()
    assert first == f"FROM python:{VERSION}"
    where = world.folder
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "RUN":
            done = subprocess.run(json.loads(rest), cwd=where, env=world.machine.variables)
            assert done.returncode == 0, line
        elif word == "WORKDIR":
            where = where / rest if rest != "/work" else world.folder
        else:
            assert line == 'ENV GREETING="it\'s here"'
    assert where == world.folder / "work" and where.is_dir()
    world.check()


@pytest.mark.usefixtures("pip")
def test_the_plain_cell_runs_in_a_kernel(world: World) -> None:
    """Without our magics, and twice."""
    world.export("plain", "-o", "plain.ipy")
    text = (world.folder / "plain.ipy").read_text()
    look = 'print(os.environ["GREETING"], os.path.basename(os.getcwd()))'
    path = notebook(world.folder / "plain.ipynb", text, look)
    for output in ("once.ipynb", "twice.ipynb"):
        world.machine.execute(path, world.folder / output)
        assert shown(world.folder / output)[-1] == "it's here work\n"
    world.check()


def test_uv_runs_the_script(world: World) -> None:
    """In an environment of its own, in which the setup cell holds."""
    world.export("pep723", "-o", "script.py")
    script = world.folder / "script.py"
    seen = world.run(world.machine.python, "-c", "import sys; print(sys.path)").stdout
    look = f"""
import sys
print(os.environ["GREETING"], os.path.basename(os.getcwd()))
command = [sys.executable, "-m", "colab_magics", "setup", "check", "--strict", {str(world.path)!r}]
paths = [x for x in {seen.strip()} if "site-packages" in x or x.endswith({str(_root())!r})]
subprocess.run(command, check=True, env={{**os.environ, "PYTHONPATH": os.pathsep.join(paths)}})
"""
    script.write_text(script.read_text() + look)
    done = world.run("uv", "run", "--python", world.machine.python, "script.py")
    assert "it's here work" in done.stdout


def _root() -> Path:
    import colab_magics

    return Path(colab_magics.__path__[0]).parent


@pytest.mark.usefixtures("pip")
def test_binder_s_files_install(world: World) -> None:
    """The requirements by pip, and what starts the server sets the variables."""
    world.export("binder", "-o", ".")
    names = {path.name for path in world.folder.iterdir()}
    assert names >= {"requirements.txt", "runtime.txt", "start"}
    assert (world.folder / "runtime.txt").read_text() == f"python-{VERSION}\n"
    world.run(world.machine.python, "-m", "pip", "install", "-r", "requirements.txt")
    world.check()
    done = world.run("sh", "start", "sh", "-c", 'printf %s "$GREETING"')
    assert done.stdout == "it's here"


@pytest.mark.usefixtures("pip")
def test_a_wheelhouse_needs_no_index(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has all wheels, at the versions of the lock, and installs where no index answers."""
    monkeypatch.setenv("PIP_INDEX_URL", world.index)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    world.save("%pin tinypkg 'tinyother>=1'", *LINES[1:])
    recipe = make_recipe(
        "nb",
        parse(f"{MARKER}\n%pin tinypkg 'tinyother>=1'"),
        Recorded(lock(world.index).encode()),
        Host(start=world.folder),
    )
    part, result = make("wheelhouse", recipe_without_package(recipe))
    folder = world.folder / "wheels"
    write(part, result, folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "requirements.txt",
        "tinyother-2.0-py3-none-any.whl",
        "tinypkg-1.0-py3-none-any.whl",
    ]
    del world.machine.variables["PIP_INDEX_URL"]
    words = ("install", "--no-index", "--find-links", folder, "-r", folder / "requirements.txt")
    world.run(world.machine.python, "-m", "pip", *words)
    world.check()


def recipe_without_package(recipe: Any) -> Any:
    """The same without our own package, whose build takes an index of the world."""
    from dataclasses import replace

    return replace(recipe, package="")


def test_a_wheelhouse_that_cannot_be_had_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, pip: None
) -> None:
    """One error, and no half-filled folder."""
    from colab_magics.core.errors import InstallFailed

    monkeypatch.setenv("PIP_INDEX_URL", world.index)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    lines = parse(f"{MARKER}\n%pin nosuchpackage==1")
    recipe = make_recipe("nb", lines, Recorded(), Host(start=world.folder))
    part, result = make("wheelhouse", recipe_without_package(recipe))
    with pytest.raises(InstallFailed):
        write(part, result, world.folder / "wheels")
    assert not (world.folder / "wheels").exists()


def test_import_goes_into_the_setup_cell(world: World) -> None:
    """What is typed in a notebook puts the lines of a file on top of it, and installs nothing."""
    (world.folder / "requirements.txt").write_text("tinypkg==1.0\n")
    path = notebook(
        world.folder / "new.ipynb",
        "%load_ext colab_magics\n%setup import requirements.txt",
        "from importlib.metadata import distributions as d\n"
        "print('tinypkg' in [x.name for x in d()])",
    )
    done = world.machine.cli("run", path, cwd=world.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "%pin tinypkg==1.0" in (setup_text(path) or "")
    assert shown(path)[-1] == "False\n"


# ---------------------------------------------------------------------- long: other tools
FULL = (
    "%gpu require T4",
    "%secret HF_TOKEN",
    "%apt ffmpeg",
    "%pin tinypkg==1.0",
    "%pin tinyother==2.0 --pre",
    "%fetch https://x.example/a.csv data/a.csv",
    "%env_persist MODE=fast",
    "%cd_persist work --make",
)
#: Format -> the package that reads it, the Python for that, and the program that has it read.
READERS: Dict[str, Tuple[str, str]] = {
    "modal": (
        "modal",
        "import runpy, modal; m = runpy.run_path('modal_setup.py')\n"
        "assert isinstance(m['image'], modal.Image) and isinstance(m['app'], modal.App)\n"
        "assert m['gpu'] == 'T4:1' and len(m['secrets']) == 1",
    ),
    "dask": (
        "distributed",
        "import runpy; m = runpy.run_path('dask_setup.py')\n"
        "names = [type(x).__name__ for x in m['PLUGINS']]\n"
        "assert names == ['Environ', 'PipInstall', 'PipInstall'], names",
    ),
    "ray": (
        "ray",
        "import json, ray\nfrom ray.runtime_env import RuntimeEnv\n"
        "env = RuntimeEnv(**json.load(open('runtime_env.json')))\n"
        "assert env.uv_config()['packages'] == ['tinypkg==1.0'], env\n"
        "assert env.env_vars() == {'MODE': 'fast'}",
    ),
    "skypilot": (
        "skypilot",
        "import sky; task = sky.Task.from_yaml('skypilot.yaml')\n"
        "assert 'tinypkg==1.0' in task.setup and task.envs['MODE'] == 'fast'\n"
        "(resources,) = task.resources\nassert resources.accelerators == {'T4': 1}",
    ),
    "binder": (
        "jupyter-repo2docker",
        "import os\nfrom repo2docker.buildpacks import PythonBuildPack, CondaBuildPack\n"
        "pack = PythonBuildPack('image')\n"
        "assert pack.detect() and not CondaBuildPack('image').detect()\n"
        f"assert pack.python_version == '{VERSION}'\n"
        "assert any('ffmpeg' in text for _, text in pack.get_preassemble_scripts())\n"
        "assert pack.get_post_build_scripts() == ['postBuild']\n"
        "scripts = [*pack.get_assemble_scripts(), *pack.get_preassemble_scripts()]\n"
        "assert pack.get_start_script() and 'requirements.txt' in str(scripts)",
    ),
    "dockerfile": (
        "dockerfile-parse",
        "from dockerfile_parse import DockerfileParser\n"
        "parts = DockerfileParser(path='Dockerfile').structure\n"
        "words = {x['instruction'] for x in parts}\n"
        "assert words == {'FROM', 'WORKDIR', 'RUN', 'ENV'}",
    ),
}


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", READERS)
def test_the_tool_itself_reads_it(world: World, name: str, tmp_path: Path) -> None:
    """By the newest release of its own package, from the index of the world."""
    package, program = READERS[name]
    world.save(*FULL)
    world.export(name, "-o", world.folder)
    python = _environment(tmp_path / "tool", package)
    home = {"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]}
    command = [str(python), "-c", program]
    done = subprocess.run(command, cwd=world.folder, env=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _environment(folder: Path, *packages: str) -> Path:
    """An environment with packages from the index of the world; skip where it does not answer."""
    from colab_magics.pin.uv import find_uv

    uv = find_uv() or "uv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    command = [uv, "pip", "install", "-q", "--python", str(python), *packages]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{' '.join(packages)} cannot be had: {done.stderr[-200:]}")
    return python


@pytest.mark.long
@pytest.mark.timeout(900)
def test_juv_runs_the_script_in_a_notebook(world: World, tmp_path: Path) -> None:
    """As the first cell of a notebook."""
    world.export("pep723", "-o", "script.py")
    look = "import tinypkg; print(tinypkg.__version__)"
    notebook(world.folder / "juv.ipynb", (world.folder / "script.py").read_text(), look)
    juv = _environment(tmp_path / "tool", "juv").parent / "juv"
    world.run(juv, "exec", "--python", str(world.machine.python), "juv.ipynb")
    text = world.run(juv, "tree", "juv.ipynb").stdout
    assert "tinypkg" in text


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ray_runs_a_task_with_it(world: World, tmp_path: Path) -> None:
    """A local Ray makes the environment, and a task of it imports the pin."""
    world.export("ray", "-o", world.folder)
    python = _environment(tmp_path / "tool", "ray", "pip", "virtualenv")
    program = (
        "import json, ray\n"
        "env = json.load(open('runtime_env.json'))\n"
        f"env['uv']['uv_pip_install_options'] = ['--index-url={world.index}']\n"
        "ray.init(runtime_env=env, num_cpus=1, include_dashboard=False)\n"
        "@ray.remote\ndef look():\n"
        "    import os, tinypkg\n    return tinypkg.__version__, os.environ['GREETING']\n"
        "print(ray.get(look.remote()))\n"
    )
    from colab_magics.pin.uv import find_uv

    path = os.pathsep.join([str(Path(find_uv() or "uv").parent), os.environ["PATH"]])
    home = {"HOME": str(tmp_path / "home"), "PATH": path}
    command = [str(python), "-c", program]
    done = subprocess.run(
        command, cwd=world.folder, env=home, capture_output=True, text=True, timeout=400
    )
    assert "('1.0', \"it's here\")" in done.stdout, done.stdout + done.stderr
