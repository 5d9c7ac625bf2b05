"""The site: built by MkDocs, with pages that are made from the package; the tutorial, followed."""

from __future__ import annotations

import html
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, List, Set

import pytest
from doubles.index import make_wheel, serve
from support.machine import Machine
from support.notebooks import notebook, setup_text, shown

from colab_magics.core.registry import load
from colab_magics.extension.registration import MAGICS
from colab_magics.record.cell import parse

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "colab_magics"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built so that a warning fails: a link or an anchor that leads nowhere is one."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("needs the extra docs" if _is_newest() else "elsewhere: the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": ""}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def _is_newest() -> bool:
    return importlib.util.find_spec("ruff") is not None  # of the same version of tests/run.py


def read(path: Path) -> str:
    """The text of a page, without its markup."""
    return html.unescape(re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8")))


def test_a_page_of_a_magic_is_its_help(site: Path) -> None:
    """Each line that ``%name?`` shows of usage and options is on its page, for each magic."""
    missing = []
    for name, target in MAGICS.items():
        page = read(site / "reference" / name / "index.html")
        magic = load(target)
        wanted = [*magic.parser().format_tree().split("\n"), *magic.help().split("\n")]
        missing += [line for line in wanted if " ".join(line.split()) not in " ".join(page.split())]
    assert missing == []


def test_a_page_lists_each_code() -> None:
    """Those in calls and classes of the package, and those that these tests have seen."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/reference.py")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    page = module.list_errors()
    listed = set(re.findall(r"(?m)^\| `(.*?)` \| .*\w.* \|.*\|$", page))
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    codes: Set[str] = {*re.findall(r'\bcode ?= ?"([a-z\d-]+)"', code)}
    seen = set(re.findall(r'(?:error|value)\.code == "([a-z\d-]+)"', tests))
    assert len(codes) > 200 and len(seen) > 50
    assert {*codes, *(seen & {*re.findall(r'"([a-z\d-]+)"', code)})} - listed == set()
    assert "Free some space, and run it again." in page


def test_links_to_the_repository_lead_to_files(site: Path) -> None:
    """And no page loads anything from another server."""
    texts = {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html")}
    assert len(texts) > 45
    linked = {x for text in texts.values() for x in re.findall(r"/blob/HEAD/([^\"#]+)", text)}
    assert linked and [name for name in linked if not (ROOT / name).exists()] == []
    loaded = r"<(?:script|img|iframe)[^>]+src=\"?http|<link[^>]+stylesheet[^>]+href=\"?http"
    assert [path.name for path, text in texts.items() if re.search(loaded, text)] == []


def test_a_picture_is_that_of_the_theme(site: Path) -> None:
    """Each screenshot on a page has a dark twin of its size, taken with it; the site shows both."""
    shown = {
        (path.stem, name)
        for path in ROOT.glob("docs/*.md")
        for name in re.findall(r"!\[[^\]]*\]\(([\w-]+)\.png\)", path.read_text(encoding="utf-8"))
    }
    assert len(shown) >= 4
    for page, name in shown:
        light, dark = ((ROOT / f"docs/{name}{end}.png").read_bytes() for end in ("", "-dark"))
        assert light[16:24] == dark[16:24] and light != dark, "the width and the height"
        assert max(len(light), len(dark)) < 200_000
        text = (site / page / "index.html").read_text(encoding="utf-8")
        assert f'src="../{name}.png#only-light"' in text
        assert f'src="../{name}-dark.png#only-dark"' in text


# ---------------------------------------------------------------------- the tutorial
_HUMANIZE = (
    "__version__ = '4.9.0'\n\ndef naturalsize(value, binary=False):\n    return '15.0 GiB'\n"
)


def test_the_tutorial_is_true(tmp_path: Path) -> None:
    """Its cells run, the setup cell that it shows is what they make, and brings all back."""
    page = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    blocks: List[str] = re.findall(r"```python\n(.*?)```", page, re.S)
    example = next(block for block in blocks if "#@title" in block)
    cells = [block.rstrip() for block in blocks if block != example]
    make_wheel(tmp_path / "wheels", "humanize", "4.9.0", {"humanize/__init__.py": _HUMANIZE})
    with serve(tmp_path / "wheels") as index:
        first = Machine.make(tmp_path / "first", tmp_path / "home", index)
        path = notebook(tmp_path / "nb.ipynb", *cells)
        done = first.cli("run", path)
        assert done.returncode == 0, done.stderr
        text = setup_text(path)
        assert text is not None
        steps = [line.text for line in parse(text) if line.step]
        wanted = [line.text for line in parse(example) if line.step]
        assert [line for line in steps if not line.startswith("%checkpoint")] == wanted
        assert "%checkpoint" in steps

        second = Machine.make(tmp_path / "second", tmp_path / "home", index)
        probe = "import humanize; print(open('notes.txt').read(), humanize.__version__)"
        alone = notebook(tmp_path / "alone.ipynb", text, probe)
        done = second.cli("run", alone)
        assert done.returncode == 0, done.stderr
        assert shown(alone)[1].split() == ["kept", "on", "the", "drive", "4.9.0"]
