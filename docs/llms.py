"""Make ``llms.txt`` from the pages: ``python3 docs/llms.py``. Its form is that of llmstxt.org."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ABOUT = "A notebook that remembers its own setup: packages, Drive, folder, GPU, back with one cell."
#: What begins a skill; code; tables, pictures, HTML and links.
_LEFT_OUT = re.compile(r"\A---\n.*?\n---\n|```.*?```|^[|!<\[][^\n]*$", re.S | re.M)


def make() -> str:
    """Return the text: a line for each page, with its title and its first sentence."""
    lines = ["# colab_magics", "", f"> {ABOUT}", "", "## Docs", ""]
    lines += map(describe, [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))])
    others = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "AGENTS.md")
    lines += ["", "## For agents", "", describe(ROOT / "colab_magics" / "SKILL.md")]
    lines += ["", "## Optional", "", *(describe(ROOT / name) for name in others)]
    return "\n".join([*lines, ""])


def describe(path: Path) -> str:
    """Return the line of a page."""
    text = _LEFT_OUT.sub("", path.read_text(encoding="utf-8"))
    title, _, body = text.partition("# ")[2].partition("\n")
    blocks = [" ".join(block.split()) for block in body.split("\n\n")]
    prose = next((block for block in blocks if block and block[0] not in "#-*"), "")
    plain = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", prose)
    first = re.split(r"(?<=[.:;])\s", plain)[0].rstrip(".:;")
    return f"- [{title}]({path.relative_to(ROOT).as_posix()})" + (f": {first}" if first else "")


if __name__ == "__main__":
    (ROOT / "llms.txt").write_text(make(), encoding="utf-8")
