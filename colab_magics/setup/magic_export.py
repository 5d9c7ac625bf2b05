"""``%setup export``, and the same on the command line: the set-up for those without us."""

from __future__ import annotations

import json
import re
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any, List, Sequence, Tuple

from ..core import files
from ..core.display import Report
from ..core.errors import NotebookError, usage_error
from ..core.host import Host
from ..export.formats import Export, Format, make
from ..extension.output import show
from ..notebook.reading import name_in_colab, notebook_file, read_stored
from ..record.cell import Line
from .magic_check import Recorded
from .magic_recipe import make_recipe

_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")


def write(part: Format, result: Export, path: Path, force: bool = False) -> List[Path]:
    """Write an export; `NotebookError`, nothing written, where other files are in its place."""
    if part.is_folder:
        targets = [path / name for name, _ in result.files]
    else:
        targets = [path / part.path if path.is_dir() else path]
    if part.name == "pylock" and not _PYLOCK.fullmatch(targets[0].name):
        raise usage_error(
            f"{targets[0].name}: a lock file has another name.",
            "Name it pylock.toml, or pylock.NAME.toml.",
            code="pylock-name",
        )
    pairs = [(target, text.encode()) for target, (_, text) in zip(targets, result.files)]
    taken = [x for x, data in pairs if x.exists() and not (x.is_file() and x.read_bytes() == data)]
    is_new = not path.exists()
    if any(x.is_dir() or not force for x in taken):
        raise NotebookError(
            f"{taken[0].name} is there already, and is another; nothing was written.",
            "Name another place, or add --force.",
            code="exists",
        )
    try:
        for target, data in pairs:
            if target in taken:
                files.replace(target, data, files.content(target))
            else:
                files.create(target, data)
        part.complete(path)
    except BaseException:
        if is_new and part.is_folder:
            shutil.rmtree(path, ignore_errors=True)
        raise
    return targets


def _require_path(part: Format) -> None:
    if type(part).complete is not Format.complete:
        raise usage_error(
            f"%setup export {part.name} makes a folder.", "Name it: -o FOLDER", code="no-path"
        )


def texts_of(result: Export) -> str:
    """Return the files as they are shown: one alone, or each below its name."""
    if len(result.files) == 1:
        return result.files[0][1].rstrip("\n")
    return "\n".join(f"# {path}\n{text}" for path, text in result.files).rstrip("\n")


def export(magic: Any, lines: Sequence[Line], arguments: Namespace) -> Any:
    """Show the set-up of these lines in a format, or write it."""
    host, session = magic.host, magic.session
    lock, made_on = (read_stored(host, session.site, name) for name in ("lock", "made_on"))
    path = notebook_file(host, session.site)
    name = path.stem if path else name_in_colab(host, session.site) or "notebook"
    part, result = make(arguments.format, make_recipe(name, lines, Recorded(lock, made_on), host))
    if arguments.path:
        place = host.resolve(host.spell_typed(arguments.path))
        targets = write(part, result, place, arguments.force)
        show(result.report(f"Written: {', '.join(target.name for target in targets)}"))
        return None
    _require_path(part)
    print(json.dumps(result.as_json(), indent=1) if arguments.json else texts_of(result))
    if result.omissions and not arguments.json:
        show(result.report())
    return result


def run_command(
    options: Namespace, lines: Sequence[Line], recorded: Recorded
) -> Tuple[str, Report]:
    """Return what ``colab-magics setup export`` prints, and the report beside it."""
    path: Path = options.notebook
    host = Host(start=path.resolve().parent)
    part, result = make(options.format, make_recipe(path.stem, lines, recorded, host))
    if options.output is not None:
        targets = write(part, result, options.output, options.force)
        report = result.report(f"Written: {', '.join(map(str, targets))}")
    else:
        _require_path(part)
        report = result.report()
    text = json.dumps(result.as_json(), indent=1) if options.json else ""
    return text or ("" if options.output else texts_of(result)), report
