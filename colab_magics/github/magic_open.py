"""``%github open``: a notebook of GitHub's, put where no other file is."""

from __future__ import annotations

import json
import warnings
from argparse import Namespace
from pathlib import Path
from typing import Any, Tuple

from ..core import files
from ..core.arguments import quote
from ..core.display import Report
from ..core.errors import NotebookError, SourceError
from ..extension.magic import Call
from ..extension.output import Status
from ..notebook.document import Document
from . import gists
from .api import Api, Refused
from .badges import colab
from .contents import fetch
from .magic_token import call_api
from .target import Source


def open_notebook(magic: Any, call: Call, arguments: Namespace) -> Path:
    """Fetch a notebook and put it where no other file is; nothing of it is executed."""
    host, url = magic.host, arguments.url
    source = Source.parse(url)
    status = Status(host, "quiet" in call.flags)
    status("fetching it from GitHub")
    with status:
        source, name, data = call_api(host, arguments.token, lambda api: _fetch(api, source))
        _validate(name, data)
        place: Path = host.resolve(host.spell_typed(arguments.path or name))
        if arguments.path.endswith("/") or place.is_dir():
            place = place / name
        label = host.spell(place)
        if "dry_run" in call.flags:
            message = f"Nothing was saved. {name} ({len(data)} bytes) would be saved as {label}"
        else:
            message = _save(place, label, data, url)
    hint = f"Open it from the list of files, or run it: colab-magics run {quote(label)}"
    if host.colab and source.repository:
        hint = f"Open it: {colab(source.repository, source.ref or 'HEAD', source.path)}"
    status.done(None if "quiet" in call.flags else Report((message, hint)))
    return place


def _fetch(api: Api, source: Source) -> Tuple[Source, str, bytes]:
    """Return the source with the ref that it has, the notebook's name and its bytes."""
    name = source.path.rpartition("/")[2]
    if source.gist:
        return (source, *gists.fetch(api, source.gist, name))
    for ref, path in source.splits():
        data = fetch(api, source.repository, path, ref)
        if data is not None:
            return source._replace(ref=ref, path=path), name, data
    at = f" at {source.ref}" if source.ref else ""
    raise Refused(
        404,
        f"{source.repository} has no {source.path}{at}, or it is private.",
        "Check the name; a private one needs a token: %secret set GH_TOKEN",
    )


def _validate(name: str, data: bytes) -> None:
    """Raise `NotebookError` where it is not a notebook of format 4."""
    import nbformat

    document = Document.parse(data, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cells without ids, which Jupyter accepts
        try:
            nbformat.validate(json.loads(document.text))
        except nbformat.ValidationError as error:
            reason = str(error.message).split("\n")[0][:200]
            message = f"{name} is not a valid notebook; it was not saved."
            raise NotebookError(message, reason, code="invalid") from None


def _save(place: Path, label: str, data: bytes, url: str) -> str:
    try:
        is_new = files.create(place, data)
    except NotebookError as error:
        hint = f"{error.hint[:-1]}: %github open {url.partition('?')[0]} copy.ipynb"
        raise SourceError(error.message, hint, code="occupied") from None
    return f"{label} saved" if is_new else f"{label} is already here, the same"
