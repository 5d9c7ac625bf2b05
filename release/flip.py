#!/usr/bin/env python3
"""At the first release: let all texts name the package instead of the repository's address.

``--check TAG`` changes nothing, and fails unless that is done and the tag is that of the version.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

ROOT = Path(__file__).resolve().parent.parent
_STATE = "on-index = {}"
#: Paragraphs that are true until then -> what takes their place.
PARAGRAPHS: Dict[str, Tuple[str, str]] = {
    "README.md": (
        "The package is not on PyPI yet: do not run `pip install colab-magics`, a name that anybody could\n"
        "register. For Jupyter, run this in the clone, in the environment from which you start Jupyter, and\n"
        "reload pages that are open:\n\n```bash\npython3 -m pip install .\n```\n\n"
        "On Colab, run this in a notebook, with the address of the repository that you cloned:\n",
        "For Jupyter, run this in the environment from which you start Jupyter, and reload pages that are\n"
        "open:\n\n```bash\npython3 -m pip install colab-magics\n```\n\n"
        "On Colab, run this in a notebook:\n",
    ),
    "README.zh-CN.md": (
        "这个包还没有发布到 PyPI。请不要运行 `pip install colab-magics`：这个名字现在谁都可以注册。\n\n"
        "在自己的机器上，进入仓库目录，在启动 Jupyter 的那个环境里运行下面这行，然后刷新已经打开的页面：\n\n"
        "```bash\npython3 -m pip install .\n```\n\n"
        "在 Colab 上，新建一个单元格运行下面这行，地址换成你克隆时用的仓库地址：\n",
        "在自己的机器上，在启动 Jupyter 的那个环境里运行下面这行，然后刷新已经打开的页面：\n\n"
        "```bash\npython3 -m pip install colab-magics\n```\n\n"
        "在 Colab 上，新建一个单元格运行下面这行：\n",
    ),
    "docs/faq.md": (
        "Not yet, so do not run `pip install colab-magics`: anybody could register that name, and you would run\n"
        "their code. Install",
        "Yes. To install what is not released yet, install",
    ),
}


def flip(root: Path) -> List[str]:
    """Change the files below ``root``; return their names."""
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    address = re.escape(re.findall(r'(?m)^Repository = "(.*)"$', project)[0])
    release = f"colab-magics~={read_version(root)}"
    changed = []
    for path in [root / "pyproject.toml", *root.glob("README*.md"), *root.glob("docs/*.md")]:
        name, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
        new = text.replace(_STATE.format("false"), _STATE.format("true"))
        before, after = PARAGRAPHS.get(name, ("", ""))
        if before not in new:
            raise SystemExit(f"{name}: its paragraph about the name is another one than here.")
        new = new.replace(before, after) if before else new
        new = re.sub(rf"%pip install -q git\+{address}@\w+", f"%pip install -q {release}", new)
        new = re.sub(rf"%pip install -q git\+{address}(?!\S)", "%pip install -q colab-magics", new)
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed.append(name)
    return changed


def read_version(root: Path) -> str:
    """Return the version of the package."""
    text = (root / "colab_magics/_version.py").read_text(encoding="utf-8")
    return re.findall(r'__version__ = "(.*)"', text)[0]


def check(root: Path, tag: str) -> str:
    """Return why a tag may not be released; empty: it may."""
    if tag != f"v{read_version(root)}":
        return f"The tag {tag} is not that of the version {read_version(root)}."
    if _STATE.format("true") not in (root / "pyproject.toml").read_text(encoding="utf-8"):
        return "Texts name the repository still: python3 release/flip.py"
    return ""


def main() -> int:
    """Flip, or check."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", metavar="TAG")
    options = parser.parse_args()
    if options.check is None:
        print("\n".join(flip(ROOT)))
        return subprocess.run([sys.executable, str(ROOT / "docs/llms.py")], check=False).returncode
    reason = check(ROOT, options.check)
    print(reason or "ok")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
