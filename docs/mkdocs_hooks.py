"""What MkDocs calls while it builds the site: adds pages, and turns links to the project's files.

``mkdocs build --strict`` at the top of the repository; the options are in ``mkdocs.yml``.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
#: Files of the project that are pages too.
PAGES = {
    "README.md": "index.md",
    "README.zh-CN.md": "zh-CN.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
}
#: A picture of a page; with a dark twin beside it, see docs/pictures.py, both are on the site.
_PICTURE = re.compile(r"(!\[[^\]]*\]\()([\w-]+)\.png\)")
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)((?:#[^)\s]*)?)(?=\))")


def on_config(config: Any) -> Any:
    """Take the address of the repository from where everything takes it."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    config.repo_url = re.findall(r'(?m)^Repository = "(.*)"$', text)[0]
    config.repo_name = "Repository"
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are elsewhere, and those that are made."""
    sys.path.insert(0, str(Path(__file__).parent))
    import reference

    pages = {page: (ROOT / name).read_text(encoding="utf-8") for name, page in PAGES.items()}
    for path, text in {**pages, **reference.make_pages()}.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Let links lead to pages of the site, else to the repository; show pictures by theme."""
    path = page.file.src_uri
    names = {page: name for name, page in PAGES.items()}
    source = names.get(path, f"docs/{path}")

    def turn(link: re.Match[str]) -> str:
        target, anchor = link.groups()
        if "://" in target:
            return link[0]
        name = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if name in PAGES or name.startswith("docs/"):
            place = PAGES.get(name, name[len("docs/") :])
            return posixpath.relpath(place, posixpath.dirname(path) or ".") + anchor
        return f"{config.repo_url}/blob/HEAD/{name}{anchor}"

    return _LINK.sub(turn, _PICTURE.sub(add_dark, markdown))


def add_dark(picture: re.Match[str]) -> str:
    """Return a picture of a page, for the light theme, and its twin for the dark one."""
    shown, name = picture.groups()
    if not (ROOT / f"docs/{name}-dark.png").exists():
        return picture[0]
    return f"{shown}{name}.png#only-light)\n{shown}{name}-dark.png#only-dark)"
