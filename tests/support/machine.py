"""A machine as a notebook sees it: an environment, a home, an index; wiped by making another."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Sequence

#: Settings of the person who runs the tests that must not reach the kernels.
_FOREIGN = ("PIP_", "UV_", "JPY_", "JUPYTER_", "XDG_", "COLAB_MAGICS_", "PYTHON", "VIRTUAL_ENV")

_EXECUTE = """\
import json, sys, nbclient, nbformat
path, output, options = sys.argv[1:]
notebook = nbformat.read(path, 4)
nbclient.NotebookClient(notebook, kernel_name="python3", **json.loads(options)).execute()
nbformat.write(notebook, output)
"""

#: What parts of a kernel import where it happens to be installed, and a machine has not: the first
#: by jsonschema, which takes a second to build its grammars.
_ABSENT = ("rfc3987_syntax", "colorama", "msgpack")


@dataclass(frozen=True)
class Machine:
    """An interpreter whose packages may be changed, and the variables to start it with."""

    python: Path
    variables: Dict[str, str]
    home: Path

    @classmethod
    def make(cls, folder: Path, home: Path, index: str, absent: Sequence[str] = _ABSENT) -> Machine:
        """An empty environment that also sees what the running interpreter has installed."""
        venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(folder)
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        found = importlib.util.find_spec("colab_magics")
        assert found is not None and found.origin is not None
        seen = [str(Path(found.origin).parent.parent)]
        seen += [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
        site = next(folder.rglob("site-packages"))
        (site / "borrowed.pth").write_text("\n".join(dict.fromkeys(seen)) + "\n")
        for name in absent:
            (site / f"{name}.py").write_text("raise ModuleNotFoundError('not on this machine')\n")
        spec = folder / "share/jupyter/kernels/python3"
        spec.mkdir(parents=True)
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (spec / "kernel.json").write_text(
            json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"})
        )
        return cls(python, _variables(folder, home, index), home)

    def run(
        self, *words: object, cwd: Optional[Path] = None, stdin: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[str]:
        """Run this interpreter to its end.

        The ports of a kernel are chosen before it takes them. Where another program was faster,
        nothing has run yet, so that it is run again.
        """
        for _ in range(2):
            done = self._run(words, cwd, stdin)
            if done.returncode == 0 or "Address already in use" not in done.stdout + done.stderr:
                return done
        return self._run(words, cwd, stdin)

    def _run(
        self, words: Sequence[object], cwd: Optional[Path], stdin: int
    ) -> subprocess.CompletedProcess[str]:
        """One that does not end says where it stands."""
        command = [str(self.python), *map(str, words)]
        with subprocess.Popen(
            command,
            env={**self.variables, "PYTHONFAULTHANDLER": "1"},
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                out, errors = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)
                out, errors = process.communicate(timeout=30)
                raise AssertionError(f"not done in 120 s: {command}\n{out}\n{errors}") from None
        return subprocess.CompletedProcess(command, process.returncode, out, errors)

    def cli(self, *words: object, cwd: Optional[Path] = None) -> subprocess.CompletedProcess[str]:
        """Run ``colab-magics`` to its end, once: it starts a kernel again by itself."""
        return self._run(("-m", "colab_magics", *words), cwd, subprocess.DEVNULL)

    def execute(self, path: Path, output: Path, **options: bool) -> None:
        """Run a notebook as nbclient does, in its own folder, and save the run elsewhere."""
        done = self.run("-c", _EXECUTE, path, output, json.dumps(options), cwd=path.parent)
        assert done.returncode == 0, done.stderr

    def install(self, *requirements: str) -> None:
        """Install as a person would, past our magics."""
        self._uv("install", "--default-index", self.variables["PIP_INDEX_URL"], *requirements)

    def uninstall(self, *names: str) -> None:
        """Uninstall past our magics."""
        self._uv("uninstall", *names)

    def _uv(self, verb: str, *words: str) -> None:
        uv = shutil.which("uv", path=self.variables["PATH"])
        assert uv is not None
        command = [uv, "pip", verb, "-q", "--python", str(self.python), *words]
        subprocess.run(command, env=self.variables, check=True)

    def installed(self) -> Dict[str, int]:
        """What was installed into this environment itself, and when each was last changed."""
        site = next(self.python.parent.parent.rglob("site-packages"))
        return {path.name: path.stat().st_mtime_ns for path in site.glob("*.dist-info")}


def _variables(folder: Path, home: Path, index: str) -> Dict[str, str]:
    """This process's variables, without what belongs to the person who runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        **kept,
        "HOME": str(home),
        "IPYTHONDIR": str(home / ".ipython"),
        "TMPDIR": str(temporary),
        "PATH": os.pathsep.join([str(_uv()), os.environ["PATH"]]),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index,
        "JUPYTER_PATH": str(folder / "share/jupyter"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _uv() -> Path:
    """The folder of uv, which pins need here: the environments have no pip."""
    from colab_magics.pin.uv import find_uv

    found = find_uv()
    assert found is not None, "uv is a dependency; it is not installed"
    return Path(found).parent
