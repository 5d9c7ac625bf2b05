"""``%github save``: this notebook, and files of its folder, to a repository or a gist."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import quote as escape

from ..core.arguments import Parser, quote
from ..core.display import Report, amount
from ..core.errors import NotebookError, SourceError, bad_input, usage_error
from ..extension.magic import Call
from ..extension.output import Status, confirm
from ..notebook.document import Document
from ..notebook.reading import Whole, read_whole
from . import gists, secret_scan
from .contents import LIMIT, File, Repository
from .magic_open import remembered, signed
from .pulls import propose
from .repository import SHA
from .urls import REPOSITORY, Target, check_branch, check_path, in_folder


# ---------------------------------------------------------------------- what is sent
# What ``%github save`` sends: the notebook and files of its folder, and nothing that is secret.
class Parcel(NamedTuple):
    """What is to be sent, by names in the notebook's folder; the notebook, if any, is first."""

    whole: Optional[Whole]
    names: Tuple[str, ...]
    contents: Tuple[bytes, ...]

    def files(self, path: str) -> List[File]:
        """As they are to stand in a repository, in which ``path`` is that of the first."""
        folder = path.rpartition("/")[0]
        rest = [f"{folder}/{name}" if folder else name for name in self.names[1:]]
        return [File(*one) for one in zip([path, *rest], self.contents)]


def pack(magic: Any, asked: Any, whole: Optional[Whole]) -> tuple[Parcel, str]:
    """The notebook and the files that are named, and the repository that is, if one is."""
    path = whole.path if whole is not None else None
    folder = path.parent if path is not None else magic.host.start
    words, repository = list(asked.words), ""
    if words and REPOSITORY.fullmatch(words[0]) and not (folder / words[0]).exists():
        repository = words.pop(0)
    names, contents = [], []
    if whole is not None:
        names.append(whole.name)
        contents.append(_copy(whole.document, asked.strip, magic.session.source))
    for word in words:
        name, data = _named(folder, word)
        if path is not None and folder / name == path:
            continue
        if name.endswith(".ipynb"):
            data = _copy(Document.parse(data, name), asked.strip, "")
        names.append(name)
        contents.append(data)
    if not names:
        raise NotebookError(
            "It is not known which notebook this is.",
            "Name its file: %github save OWNER/REPO NOTEBOOK.ipynb",
        )
    if not names[0]:
        raise NotebookError("The notebook's name is not known here.", "Say it: --path nb.ipynb")
    for name, data in zip(names, contents):
        _small(name, len(data))
    return Parcel(whole, tuple(names), tuple(contents)), repository


def _named(folder: Path, word: str) -> Tuple[str, bytes]:
    """A file of the notebook's folder, its name there, and its content."""
    file = (folder / word).resolve()
    if folder.resolve() not in file.parents:
        raise usage_error(
            f"%github save: {word} is not in the notebook's folder.", "Copy it there."
        )
    if not file.is_file():
        kind = "a folder; name its files" if file.is_dir() else "not there"
        raise usage_error(f"%github save: {word} is {kind}.", "Check the name.")
    _small(word, file.stat().st_size)
    name = check_path(file.relative_to(folder.resolve()).as_posix())
    return name, file.read_bytes()


def _small(name: str, size: int) -> None:
    if size > LIMIT:
        raise SourceError(
            f"{name} has {amount(size)}; GitHub takes files of up to 100 MB. Nothing was sent.",
            "Leave the outputs out (--strip)."
            if name.endswith(".ipynb")
            else "Keep it on a drive.",
        )


def _copy(document: Document, strip: bool, running: str) -> bytes:
    """The notebook as it is sent: the cell that says so, without what it has put out.

    Else each save would find the notebook changed by the one before it.
    """
    new: Dict[int, Dict[str, Any]] = {}
    for at, cell in enumerate(document.cells):
        own = bool(running.strip()) and Document.source(cell).strip() == running.strip()
        if cell.get("cell_type") == "code" and (strip or own):
            new[at] = {**cell, "outputs": [], "execution_count": None}
    return document.with_cells(new.items()).encode()


def check(parcel: Parcel, message: str) -> None:
    """`SourceError` where something in it, or what goes with it, is a secret."""
    secret_scan.check_text("The message", message)
    for name, data in zip(parcel.names, parcel.contents):
        secret_scan.check_text("The name of a file", name)
        if name.endswith(".ipynb"):
            secret_scan.check_notebook(name, secret_scan.read(name, data))
        else:
            secret_scan.check_file(name, data)


def with_target(parcel: Parcel, target: Target) -> Parcel:
    """With the target in the copy, so that a notebook opened from there is saved there.

    Without the gist, whose address may be known to nobody else.
    """
    if parcel.whole is None:
        return parcel
    document = Document.parse(parcel.contents[0], parcel.names[0])
    text = target._replace(gist="").encode() if target.repository else None
    first = document.with_kept("github", text).encode()
    return parcel._replace(contents=(first, *parcel.contents[1:]))


# ---------------------------------------------------------------------- sending it
_USAGE = (
    "%github save [OWNER/REPO] [FILES...] [--branch B] [--path P] [--message M] [--pr] [--gist] "
    "[--strip] [--token NAME]"
)


class Record(NamedTuple):
    """What became of it; ``commit`` is empty where nothing was sent, and for a gist."""

    target: Target
    commit: str
    url: str
    said: Tuple[str, ...]


def save(magic: Any, call: Call) -> Optional[Record]:
    """Send what differs; `SourceError` where something in it is a secret, and nothing is sent."""
    asked = _read(call)
    session, status = magic.session, Status(magic.host, "quiet" in call.flags)
    status("looking at what is to be saved")
    try:
        api = signed(magic.host, asked.token)  # known from here on, and looked for in what is sent
        whole = read_whole(magic.host, session.site)
        known = remembered(session)
        nameless = whole is not None and not whole.name
        if whole is not None and nameless:  # Colab does not tell it to the kernel
            whole = whole._replace(name=(asked.path or known.path).rpartition("/")[2])
        parcel, repository = pack(magic, asked, whole)
        target = _target(asked, repository, known, parcel)
        check(parcel, asked.message)
        if "dry_run" in call.flags:
            status.done(_foreseen(parcel, target))
            return None
        own = Target(repository, asked.branch, asked.path or ("" if nameless else parcel.names[0]))
        if target.to == "gist" and not asked.gist:
            _agree(magic, target, known)
        status(f"asking GitHub about {target.repository or 'the gist'}")
        found = None
        if target.to != "gist":
            found, target = _settled(magic, api, target, known, (own, _cloned(parcel)))
        record = _sent(api, found, parcel, target, asked.message or f"Save {parcel.names[0]}")
    except BaseException:
        status.done(None)
        raise
    session.confirmed.add(record.target.key)
    said = [*record.said, *_remember(session, known, record.target), *_stale(session.site, whole)]
    status.done(None if "quiet" in call.flags else Report(tuple(said)))
    return record


def _read(call: Call) -> Any:
    parser = Parser("%github save", usage=_USAGE)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--branch", default="", type=check_branch)
    parser.add_argument("--path", default="", type=check_path)
    parser.add_argument("--message", "-m", default="")
    parser.add_argument("--token", default="")
    for flag in ("--pr", "--gist", "--strip"):
        parser.add_argument(flag, action="store_true")
    asked = parser.parse_intermixed_args(list(call.words[1:]))
    if asked.gist and (asked.pr or asked.branch):
        raise usage_error("%github save: a gist has no branches.", "Take --pr and --branch out.")
    return asked


# ---------------------------------------------------------------------- where to
def _target(asked: Any, repository: str, known: Target, parcel: Parcel) -> Target:
    """Where it is to go: as told, else where it went last, else where its clone comes from."""
    lies = _cloned(parcel)
    if SHA.fullmatch(lies.branch):
        lies = lies._replace(branch="")
    named = repository or known.repository or lies.repository
    fits = [one for one in (known, lies) if one.repository.lower() == named.lower() != ""]
    base = fits[0] if fits else Target()
    told = repository or asked.branch or asked.path
    to = "gist" if asked.gist else "pull" if asked.pr else "" if told else known.to
    if not named and to != "gist":
        raise usage_error(
            "%github save: where to?", "%github save OWNER/REPO, or: %github save --gist"
        )
    branch = asked.branch or base.branch
    where = asked.path or (base.path if parcel.whole else "") or parcel.names[0]
    return Target(named, branch, where if named else "", known.gist, to)


def _cloned(parcel: Parcel) -> Target:
    """Where the notebook is by the clone that it lies in; empty where it lies in none."""
    path = parcel.whole.path if parcel.whole else None
    return (in_folder(path) if path is not None else None) or Target()


def _agree(magic: Any, target: Target, known: Target, alone: str = "") -> None:
    """`SourceError` where only the notebook names the target, and no person agrees to it.

    Somebody else may have written it, to be sent what comes out of it on this machine, or to have
    it put in the place of another file. ``known`` is all that it says, which may be confirmed by
    now, ``alone`` what of the target it alone says.
    """
    if {target.key, known.key} & magic.session.confirmed:
        return
    place = f"{target.repository}, {target.branch or 'the default branch'}, {target.path}"
    place = "a gist" if target.to == "gist" else place
    if confirm(magic.host, f"The notebook says that it is saved to {place}. Save it there?"):
        magic.session.confirmed.add(target.key)
        return
    named = "--gist" if target.to == "gist" else f"{target.repository}{alone}"
    raise SourceError(
        f"Only the notebook says that it is saved to {place}; nothing was sent.",
        f"If it is to go there: %github save {named}",
    )


def _settled(
    magic: Any, api: Any, target: Target, known: Target, others: Tuple[Target, Target]
) -> Tuple[Repository, Target]:
    """The repository, and the target with its branch; `_agree` to what the notebook alone says.

    ``others`` are what was typed, with the notebook's name, and the clone that it lies in.
    """
    own, lies = others
    lies = lies if lies.repository.lower() == target.repository.lower() else Target()
    trusted = own.repository or lies.repository
    if not trusted:
        _agree(magic, target, known)
    found = Repository(api, target.repository)
    target = target._replace(repository=found.name, branch=target.branch or found.default)
    usual = target.branch in (own.branch, found.default, lies.branch)
    alone = "" if usual else f" --branch {quote(target.branch)}"
    alone += "" if target.path in (own.path, lies.path) else f" --path {quote(target.path)}"
    if trusted and alone:
        _agree(magic, target, known, alone)
    return found, target


def _foreseen(parcel: Parcel, target: Target) -> Report:
    size = amount(sum(map(len, parcel.contents)))
    place = f"{target.repository}, {target.branch or 'the default branch'}, {target.path}"
    how = {"gist": "a gist", "pull": f"a pull request for {place}", "": place}[target.to]
    return Report((f"dry run: {', '.join(parcel.names)} ({size}) would go to {how}",))


def _sent(
    api: Any, found: Optional[Repository], parcel: Parcel, target: Target, message: str
) -> Record:
    if found is None:
        return _to_gist(api, parcel, target, message)
    sent = with_target(parcel, target).files(target.path)
    name = ", ".join(parcel.names)
    if target.to == "pull":
        saved, pull = propose(found, target.branch, sent, message)
        if pull is None:
            return Record(target, "", found.url, (f"{_same(target, name)}; nothing to propose",))
        verb = "opened" if pull.made else "has it now" if saved.commit else "has it already"
        return Record(
            target, saved.commit, pull.url, (f"Pull request #{pull.number} {verb}", pull.url)
        )
    note = (f"Branch {target.branch} is new",) if found.branch(target.branch) else ()
    saved = found.save(target.branch, sent, message)
    url = f"{found.url}/blob/{escape(target.branch)}/{escape(target.path)}"
    if not saved.commit:
        return Record(target, "", url, (*note, f"{_same(target, name)}; nothing was sent"))
    count = f" and {len(saved.paths) - 1} more" if len(saved.paths) > 1 else ""
    said = f"{saved.paths[0]}{count} saved to {target.shown}: {saved.commit[:7]}"
    over = ", ".join(saved.changed)
    history = f"{found.url}/commits/{escape(target.branch)}"
    lost = (f"{over} had changed there since your last save; that is in {history}",) if over else ()
    return Record(target, saved.commit, url, (*note, said, url, *lost))


def _to_gist(api: Any, parcel: Parcel, target: Target, message: str) -> Record:
    sent = with_target(parcel, target._replace(to="")).files(parcel.names[0])
    made = gists.save(api, target.gist, sent, message)
    target = target._replace(gist=made.id)
    if not made.sent:
        return Record(
            target, "", made.url, ("The gist has it as it is here; nothing was sent", made.url)
        )
    said = "Saved to a new secret gist: who has its address can read it"
    return Record(target, "", made.url, (said if made.made else "Saved to the gist", made.url))


def _same(target: Target, name: str) -> str:
    return f"{target.shown} has {name} as it is here"


# ---------------------------------------------------------------------- afterwards
def _remember(session: Any, known: Target, target: Target) -> List[str]:
    """Keep the target in the notebook, else for this kernel; what is to be said of that."""
    text = target.encode()
    if known == target:
        return []
    session.targets[session.host.client] = text
    writer = session.writer() if session.site.kind != "executor" else None
    if writer is None or not writer.can_keep:
        return ["Remembered for this kernel: the next time, %github save is enough"]
    try:
        if writer.keep("github", text) != "written":  # else it is not on disk yet
            session.targets.pop(session.host.client)
    except bad_input() as error:
        return [f"Remembered for this kernel only. {str(error).splitlines()[0]}"]
    return ["Remembered in the notebook: the next time, %github save is enough"]


def _stale(site: Any, whole: Optional[Whole]) -> List[str]:
    """What is said where the file was sent, and the page may show something newer."""
    if whole is None or whole.live:
        return []
    if site.kind == "run":
        return ["As the file was before this run"]
    return ["As the file was last saved; edits since then are not in it"]
