"""Packages of many files, and what is left of them in an environment."""

from __future__ import annotations

import csv
import random
import re
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple

from .index import make_wheel

NAMES = [f"many{letter}" for letter in "abcdefghij"]

_IMPORT = """\
import importlib, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for i in range(module.COUNT):
        assert importlib.import_module(f"{name}.part{i // 50}.m{i}").NUMBER == i
"""


class Many(NamedTuple):
    """The folder of the wheels, and the requirements for the ten in each version."""

    wheels: Path
    one: List[str]
    two: List[str]


def make_many(folder: Path, version: str, least: int, most: int) -> List[str]:
    """Write ten wheels, some with console scripts and data; give the requirements for them."""
    chance = random.Random(version)
    for place, name in enumerate(NAMES):
        count = chance.randint(least, most)
        files = {f"{name}/__init__.py": f"COUNT = {count}\n__version__ = {version!r}\n"}
        files.update({f"{name}/part{i}/__init__.py": "" for i in range((count + 49) // 50)})
        for i in range(count):
            text = f"NUMBER = {i}\n" + "# filled\n" * chance.randint(0, 400)
            files[f"{name}/part{i // 50}/m{i}.py"] = text
        if place % 3 == 0:
            entry = f"[console_scripts]\n{name} = {name}:main\n"
            files[f"{name}-{version}.dist-info/entry_points.txt"] = entry
            files[f"{name}-{version}.data/data/share/{name}/data.txt"] = "data\n" * 500
        make_wheel(folder, name, version, files)
    return [f"{name}=={version}" for name in NAMES]


def damage(site: Path) -> Dict[str, List[str]]:
    """What is wrong with the ten in a site-packages folder, seen without the code under test."""
    found: Dict[str, List[str]] = {}
    for name in NAMES:
        infos = list(site.glob(f"{name}-*.dist-info"))
        held = [[info.name, *sorted(path.name for path in info.iterdir())] for info in infos]
        wrong = [] if len(infos) == 1 else [f"{len(infos)} dist-info folders: {held}"]
        for info in infos:
            record = info / "RECORD"
            if not record.exists() or not (info / "METADATA").exists():
                wrong.append(f"{info.name} is incomplete")
                continue
            with record.open(newline="") as stream:
                rows = [row for row in csv.reader(stream) if row]
            wrong += [path for path, _, size in rows if not _is(site / path, size)]
            listed = {path for path, _, _ in rows}
            said = re.match(r"COUNT = (\d+)", _text(site / name / "__init__.py"))
            for i in range(int(said.group(1)) if said else 1):
                path = f"{name}/part{i // 50}/m{i}.py"
                wrong += [] if path in listed else [f"{path} is not listed"]
        if wrong:
            found[name] = wrong
    return found


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _is(path: Path, size: str) -> bool:
    return path.exists() and (not size or path.stat().st_size == int(size))


def imports(python: Path, environment: Mapping[str, str]) -> None:
    """Import every module of the ten."""
    done = subprocess.run(
        [str(python), "-B", "-c", _IMPORT, *NAMES],
        env=dict(environment),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def leftovers(site: Path) -> List[str]:
    """What a cut leaves beside the packages."""
    return sorted(path.name for path in site.glob("~*"))
