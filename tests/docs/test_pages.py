"""The pages agree with the package: their links, the repository's address, the magic lines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Dict, Iterator, List, Set
from urllib.parse import urlsplit

import pytest
from IPython.core.error import UsageError

from colab_magics.core.arguments import split
from colab_magics.core.registry import load
from colab_magics.core.steps import STEPS, parse
from colab_magics.extension.registration import MAGICS

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "colab_magics"
FILES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
TEXTS: Dict[Path, str] = {path: path.read_text(encoding="utf-8") for path in FILES}
#: Where lines for users are shown.
FOR_USERS = [path for path in FILES if path.name.startswith("README") or path.parent != ROOT]


def links(path: Path) -> Iterator[Path]:
    """The files that a page links to or shows."""
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[path]):
        if "://" not in target:
            yield (path.parent / target.partition("#")[0]).resolve()


def test_each_link_leads_to_a_file() -> None:
    """Of those that name a file of this repository."""
    broken = [(path.name, link.name) for path in FILES for link in links(path) if not link.exists()]
    assert broken == []


def test_each_page_is_found_from_the_readme() -> None:
    """By links, each step of which is in a page."""
    reached: Set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in TEXTS and page not in reached:
            reached.add(page)
            ahead += links(page)
    assert {*FOR_USERS} - reached == set()


def test_the_repository_has_one_address() -> None:
    """Every address to install from, and that of the setup cell, is pyproject's."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.compile(r"(?:git\+|what is this\? )(https://[^\s@`]+)")
    shown = {address for text in TEXTS.values() for address in named.findall(text)}
    assert len(shown) == 1
    assert shown == {project.get("urls", {}).get("Repository", *shown)}


def test_each_notebook_opens_in_colab() -> None:
    """Its badge, and the gallery, lead to it in the repository that pyproject names."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = urlsplit(project["urls"]["Repository"]).path
    base = f"https://colab.research.google.com/github{name}/blob/main/notebooks/"
    paths = sorted(ROOT.glob("notebooks/*.ipynb"))
    for path in paths:
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        assert f"colab-badge.svg)]({base}{path.name})" in first
    linked = re.findall(r"Open in Colab\]\(([^)]+)\)", TEXTS[ROOT / "docs/gallery.md"])
    assert sorted(linked) == [base + path.name for path in paths]


def test_each_subject_of_attacks_and_faults_has_its_figures() -> None:
    """A row for each file of the two suites."""
    paths = [*ROOT.glob("tests/attacks/test_*.py"), *ROOT.glob("tests/faults/test_*.py")]
    rows = re.findall(r"(?m)^\| (\S+/test_\w+) \|.*\| [\d,]+ \|", TEXTS[ROOT / "docs/faults.md"])
    assert sorted(rows) == sorted(f"{path.parent.name}/{path.stem}" for path in paths)


def test_no_page_installs_a_name_that_is_not_ours() -> None:
    """Until the package is on an index, whoever registers its name would run code."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    if "\non-index = true\n" in project:
        pytest.skip("elsewhere: the name is ours")
    text = "\n".join(TEXTS[path] for path in FILES)
    blocks = "\n".join(re.findall(r"```\w+\n(.*?)```", text, flags=re.S))
    assert not re.search(r"pip install .*(?<![/\w])colab[-_]magics", blocks)


def magic_lines(text: str) -> Iterator[str]:
    """The lines in code, in a block or within a sentence, that begin with one of our magics.

    Not those of ``%shell``, whose words are another language's.
    """
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    for line in [*"\n".join(blocks).split("\n"), *spans]:
        name = re.match(r"%(\w+) ", line)
        if name and name.group(1) in {*MAGICS} - {"shell"} and "..." not in line:
            yield line.replace(" URL", " https://host/data.zip")


@pytest.mark.parametrize("path", FOR_USERS, ids=lambda path: path.stem)
def test_each_magic_line_is_one_that_the_magic_reads(path: Path) -> None:
    """Its commands and options are there, and its values have the form that they need."""
    wrong: List[str] = []
    for line in magic_lines(TEXTS[path]):
        name, _, rest = line[1:].partition(" ")
        words = tuple(split(rest).words)
        try:
            command, _ = load(MAGICS[name]).parser().parse_words(words)
            if name in STEPS and not command:
                parse(name, words)
        except UsageError as error:
            wrong.append(f"{line}: {error}")
    assert wrong == []


def test_the_messages_that_a_page_explains_are_ours() -> None:
    """What stays the same in each, between what varies: ``<line>``, a number, a package."""
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    code = re.sub(r'"\s+f?"', "", code)  # a string over several lines
    rows = re.findall(r"^\| `([^`]+)` \|.*\|$", TEXTS[ROOT / "README.zh-CN.md"], re.M)
    messages = [row for row in rows if row[0] not in "%" and " " in row]
    number = r"\(?[\d.]*\d\S*(?: (?:lines|s)\b)?\.?"
    varies = rf"<[^>]+>|\.\.\.|\b(?:numpy|torch)\b| - |[:,;] |on top| (?=\(was)|{number}"
    parts = [part.strip() for text in messages for part in re.split(varies, text)]
    assert len(messages) > 12
    assert [part for part in parts if len(part) > 2 and part not in code] == []


def test_the_moving_picture_moves_and_is_small() -> None:
    """GitHub renders a GIF; a large one is never seen to its end."""
    picture = (ROOT / "docs/moving.gif").read_bytes()
    assert picture.startswith(b"GIF89a") and b"NETSCAPE2.0" in picture
    assert len(picture) < 1_500_000
