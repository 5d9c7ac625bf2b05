"""A magic of another package: installed, used, remembered, and brought back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Tuple

from doubles.index import make_wheel, serve
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown

PAGE = (Path(__file__).resolve().parents[2] / "docs/extending.md").read_text(encoding="utf-8")
#: A step of ours that another package claims.
_CLAIM = "pin = hello_magic:parse\n"


def read_page() -> Tuple[str, str]:
    """The module and the entry points that the page shows, these as an installer writes them."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (project,) = re.findall(r"```toml\n(.*?)```", PAGE, re.S)
    points = re.sub(r'\[project\.entry-points\."(.*?)"\]', r"[\1]", project)
    return code, re.sub(r'= "(.*?)"', r"= \1", points)


def test_a_magic_of_another_package(tmp_path: Path) -> None:
    """That of docs/extending.md works as ours do, and its line stands in the setup cell; a name of
    ours stays ours.
    """
    wheels = tmp_path / "wheels"
    code, points = read_page()
    assert "[colab_magics.steps]" in points
    files = {
        "hello_magic.py": code,
        "hello_magic-1.0.dist-info/entry_points.txt": points + _CLAIM,
    }
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
