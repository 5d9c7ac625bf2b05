"""A magic of another package: installed, used, remembered, and brought back."""

from __future__ import annotations

from pathlib import Path

from doubles.index import make_wheel, serve
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown

_CODE = '''"""``%hello``: a greeting that a notebook remembers."""

from dataclasses import dataclass

from colab_magics.core.steps import Outcome, Step, Verdict
from colab_magics.extension.magic import Magic


@dataclass(frozen=True)
class Hello(Step):
    """Somebody is greeted."""

    name: str
    word = "hello"
    rank = 60

    def arguments(self):
        return (self.name,)

    @property
    def keys(self):
        return frozenset({"hello"})

    def check(self, host):
        return Verdict("ok", f"{self.name} is greeted")

    def apply(self, host, progress):
        return Outcome("applied", f"hello {self.name}", self)


def parse(words):
    return Hello(words[0]) if words else None


class HelloMagic(Magic):
    """Greet somebody.

    Examples
    --------
    ::

        %hello world
    """

    name = "hello"
'''
_POINTS = """\
[colab_magics.magics]
hello = hello_magic:HelloMagic
[colab_magics.steps]
hello = hello_magic:parse
pin = hello_magic:parse
"""


def test_a_magic_of_another_package(tmp_path: Path) -> None:
    """It works as ours do, its line stands in the setup cell; a name of ours stays ours."""
    wheels = tmp_path / "wheels"
    files = {"hello_magic.py": _CODE, "hello_magic-1.0.dist-info/entry_points.txt": _POINTS}
    make_wheel(wheels, "hello-magic", "1.0", files)
    make_wheel(wheels, "tinypkg", "1.0")
    with serve(wheels) as index:
        machine = Machine.make(tmp_path / "environment", tmp_path / "home", index)
        machine.install("hello-magic")
        cells = ("%load_ext colab_magics\n%hello world", "%pin tinypkg==1.0")
        path = notebook(tmp_path / "nb.ipynb", *cells)
        first = machine.cli("run", path)
        assert first.returncode == 0, first.stderr
        text = setup_text(path)
        assert text is not None
        assert {"%hello world", "%pin tinypkg==1.0"} <= set(text.split("\n"))
        second = machine.cli("run", path)
        assert second.returncode == 0, second.stderr
        assert "world is greeted" in shown(path)[1]
        assert setup_text(path) == text
        checked = machine.cli("setup", "check", path)
        assert "world is greeted" in checked.stdout
