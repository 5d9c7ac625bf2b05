"""``%github badge`` and ``%github open``: a notebook on GitHub, to be opened elsewhere or here."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

from ..core import files
from ..core.arguments import Parser, quote
from ..core.display import Report
from ..core.errors import NotebookError, SourceError, usage_error
from ..core.host import Host
from ..extension.magic import Call
from ..extension.output import Status, confirm, show
from ..notebook.document import Document
from ..notebook.reading import file_of, read_kept
from ..secret.lookup import PLACES, find, value
from . import gists
from .api import Api, Refused, strange
from .badges import badges, colab
from .contents import fetch
from .repository import SHA
from .urls import REPOSITORY, Source, Target, check_branch, check_path, in_folder

#: The secrets that may hold the token, in this order.
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")


@dataclass(frozen=True)
class Badges:
    """The markdown of badges: drawn, with the text below to be copied."""

    markdown: str

    def __str__(self) -> str:
        return self.markdown

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Dict[str, str]:
        drawn = self.markdown.replace("\n", " ")
        copied = f"```markdown\n{self.markdown}\n```"
        return {"text/plain": self.markdown, "text/markdown": f"{drawn}\n\n{copied}"}


# ---------------------------------------------------------------------- badge
def badge(magic: Any, call: Call) -> Badges:
    """Show the badges that open this notebook in Colab, Binder and Kaggle."""
    parser = Parser("%github badge", usage=_BADGE)
    parser.add_argument("repository", nargs="?", default="")
    parser.add_argument("--branch", default="", type=check_branch)
    parser.add_argument("--path", default="", type=check_path)
    parser.add_argument("--commit", action="store_true")
    parser.add_argument("--token", default="")
    asked = parser.parse_intermixed_args(list(call.words[1:]))
    if asked.repository and not REPOSITORY.fullmatch(asked.repository):
        raise usage_error(f"%github badge: {asked.repository} is no OWNER/REPO.", _BADGE)
    target = _meant(magic, asked)
    ref = target.branch or "main"
    if asked.commit:
        ref = _commit(magic.host, target.repository, ref, asked.token)
    made = Badges(badges(target.repository, ref, target.path))
    if "quiet" not in call.flags:
        show(made)
    return made


_BADGE = "%github badge [OWNER/REPO] [--branch B] [--path P] [--commit]"


def _meant(magic: Any, asked: Any) -> Target:
    """Which file: as told, else as it was saved, else by the clone that the notebook lies in."""
    site, told = magic.session.site, asked.repository and asked.path
    file = None if told else file_of(magic.host, site)
    found = [] if told else [remembered(magic.session), in_folder(file) if file else None]
    fits = [
        one for one in found if one and one.repository and asked.repository in ("", one.repository)
    ]
    base = fits[0] if fits else Target(path=file.name if file else "")
    made = Target(
        asked.repository or base.repository, asked.branch or base.branch, asked.path or base.path
    )
    if not made.repository:
        raise usage_error(
            "%github badge: it is not known where this notebook is on GitHub.",
            "Say where: %github badge OWNER/REPO --path nb.ipynb",
        )
    if not made.path:
        raise usage_error(
            "%github badge: it is not known which notebook this is.", "Say: --path nb.ipynb"
        )
    return made


def _commit(host: Host, repository: str, ref: str, name: str) -> str:
    """The commit that a branch is at now."""

    def asked(api: Api) -> str:
        answer = api(
            "GET",
            f"/repos/{repository}/commits/{ref}",
            accept="application/vnd.github.sha",
            about=f"{repository}, {ref}",
        )
        commit = answer.data.decode("ascii", "replace").strip()
        if not SHA.fullmatch(commit):
            raise strange()
        return commit

    return str(_as_needed(host, name, asked))


# ---------------------------------------------------------------------- open
def open_notebook(magic: Any, call: Call) -> Path:
    """Fetch a notebook and put it where no other file is; nothing of it is executed."""
    parser = Parser("%github open", usage=_OPEN)
    parser.add_argument("url")
    parser.add_argument("path", nargs="?", default="")
    parser.add_argument("--token", default="")
    asked = parser.parse_intermixed_args(list(call.words[1:]))
    source = Source.read(asked.url)
    status = Status(magic.host, "quiet" in call.flags)
    status("fetching it from GitHub")
    try:
        source, name, data = _as_needed(magic.host, asked.token, lambda api: _fetched(api, source))
        _validate(name, data)
        place = _place(magic.host, asked.path, name)
        new = "dry_run" not in call.flags and _put(magic.host, place, data, asked.url)
    except BaseException:
        status.done(None)
        raise
    shown = magic.host.spell(place)
    said = f"{shown} saved" if new else f"{shown} is there already, the same"
    if "dry_run" in call.flags:
        said = f"dry run: {name} is there, a notebook of {len(data)} bytes, for {shown}"
    status.done(None if "quiet" in call.flags else _opened(magic.host, said, shown, source))
    return place


_OPEN = "%github open URL|OWNER/REPO/PATH.ipynb[@REF] [PATH] [--token NAME]"


def _fetched(api: Api, source: Source) -> Tuple[Source, str, bytes]:
    """What it turned out to mean, its name and its bytes."""
    if source.gist:
        return (source, *gists.fetch(api, source.gist, source.name))
    for ref, path in source.splits():
        data = fetch(api, source.repository, path, ref)
        if data is not None:
            return source._replace(ref=ref, path=path), path.rpartition("/")[2], data
    at = f" at {source.ref}" if source.ref else ""
    raise Refused(
        404,
        f"{source.repository} has no {source.path}{at}, or it is private.",
        "Check the name; a private one needs a token: %secret set GH_TOKEN",
    )


def _validate(name: str, data: bytes) -> None:
    """`NotebookError` where it is no notebook of format 4."""
    import nbformat

    document = Document.parse(data, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cells without ids, which Jupyter takes
        try:
            nbformat.validate(json.loads(document.text))
        except nbformat.ValidationError as error:
            what = str(error.message).split("\n")[0][:200]
            raise NotebookError(f"{name} is no valid notebook; it was not saved.", what) from None


def _place(host: Host, path: str, name: str) -> Path:
    """The file that it becomes: a path, a folder, or its own name where the kernel started."""
    place = host.resolve(path or name)
    return place / name if path.endswith("/") or place.is_dir() else place


def _put(host: Host, place: Path, data: bytes, url: str) -> bool:
    try:
        return files.create(place, data)
    except NotebookError as error:
        hint = f"{error.hint[:-1]}: %github open {url.partition('?')[0]} copy.ipynb"
        raise SourceError(error.message, hint) from None


def _opened(host: Host, said: str, shown: str, source: Source) -> Report:
    """What is said of it, and how it is opened from here."""
    hint = f"Open it from the list of files, or run it: colab-magics run {quote(shown)}"
    if host.colab and source.repository:
        ref = source.ref or "HEAD"
        hint = f"Open it in Colab: {colab(source.repository, ref, source.path)}"
    return Report((said, hint))


# ---------------------------------------------------------------------- what both and `save` need
def remembered(session: Any) -> Target:
    """Where this notebook was saved; empty where that is not known."""
    now = session.targets.get(session.host.client)  # newer than what could be kept
    return Target.decode(now or read_kept(session.host, session.site, "github"))


def signed(host: Host, name: str = "", asks: bool = True) -> Api:
    """GitHub with the token of this name, else of the usual ones; a person is asked last.

    Unless ``asks`` is false: a slip in a name is no reason to ask somebody for a token. A person
    is asked too whether one of a ``.env`` is to be used, which came with the notebook perhaps: it
    would save to the account of whoever wrote it.
    """
    if name:
        return Api(value(host, name), name)
    for place in PLACES:
        for one in TOKENS if place != "prompt" else ():
            try:
                found = find(host, one, place)[0]
            except SourceError:
                continue
            if place != "dotenv" or (asks and confirm(host, f"Use {one} of the file .env here?")):
                return Api(found, one)
    left = find(host, TOKENS[0], "auto" if asks else "env", without=["dotenv"])
    return Api(left[0], TOKENS[0])


def _as_needed(host: Host, name: str, call: Callable[[Api], Any]) -> Any:
    """What a call gives without a token; with one only where GitHub does not give it else."""
    if name:
        return call(signed(host, name))
    try:
        return call(Api())
    except Refused as refused:
        if refused.status not in (401, 403, 404, 429):
            raise
        try:
            api = signed(host, asks=False)
        except SourceError:
            raise refused from None
    return call(api)
