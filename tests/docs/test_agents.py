"""What agents read is true: the skill, and llms.txt."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from typing import Any, List

import pytest

from colab_magics.__main__ import _parser, main
from colab_magics.core.exit_status import ExitStatus
from colab_magics.tools import list_tools

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
SKILL = (ROOT / "colab_magics" / "SKILL.md").read_text(encoding="utf-8")


def test_llms_txt_is_made_of_the_pages() -> None:
    """As docs/llms.py makes it now; each page is in it."""
    spec = importlib.util.spec_from_file_location("llms", ROOT / "docs" / "llms.py")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (ROOT / "llms.txt").read_text(encoding="utf-8")
    assert text == module.make(), "run: python3 docs/llms.py"
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert all((ROOT / link).exists() for link in links)
    assert {f"docs/{page.name}" for page in ROOT.glob("docs/*.md")} <= set(links)


def test_the_skill_is_printed_and_has_a_head(capsys: pytest.CaptureFixture[str]) -> None:
    """Its file lies beside the code, so that the wheel has it; name and description come first."""
    assert main(["skill"]) == 0
    assert capsys.readouterr().out.rstrip() == SKILL.rstrip()
    head = re.match(r"---\nname: [a-z0-9-]{1,64}\ndescription: (.{1,1024})\n---\n", SKILL)
    assert head is not None


def test_each_command_of_the_skill_is_one() -> None:
    """It is parsed as the command line parses it; statuses are those of the one table."""
    block = re.findall(r"```bash\n(.*?)```", SKILL, re.S)[0]
    lines: List[List[str]] = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(lines) > 6 and all(words[0] == "colab-magics" for words in lines)
    for words in lines:
        _parser().parse_args(words[1:])  # or the test ends
    rows = re.findall(r"^\| (\d+) \|", SKILL, re.M)
    assert rows == [str(int(status)) for status in ExitStatus]


def test_the_page_has_each_tool() -> None:
    """Those that an MCP server offers, and no other."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    section = page.partition("## Agents\n")[2].partition("\n## ")[0]
    names = [
        name for row in re.findall(r"^\| (`.*?) \|", section, re.M) for name in row.split(", ")
    ]
    assert [name.strip("`") for name in names] == [tool.split(":")[1] for tool in list_tools()]
