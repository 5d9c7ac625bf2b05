"""``%github save``: this notebook, and files of its folder, to a repository or a gist."""

from typing import Any, List, NamedTuple, Optional, Tuple
from urllib.parse import quote

from ..core.arguments import Parser
from ..core.display import Report, amount
from ..core.errors import SourceError, bad_input, usage_error
from ..extension.magic import Call, Status, confirm
from ..notebook.reading import Whole, read_whole
from . import gists
from .contents import Repository
from .github_parcel import Parcel, check, pack, with_target
from .magic_open import remembered, signed
from .pulls import propose
from .repository import SHA
from .target import Target, check_branch, check_path, in_folder


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
        if whole is not None and not whole.name:  # Colab does not tell it to the kernel
            whole = whole._replace(name=(asked.path or known.path).rpartition("/")[2])
        parcel, repository = pack(magic, asked, whole)
        target = _target(asked, repository, known, parcel)
        check(parcel, asked.message)
        if "dry_run" in call.flags:
            status.done(_foreseen(parcel, target))
            return None
        if not (repository or asked.gist):
            _agree(magic, target, parcel)
        status(f"asking GitHub about {target.repository or 'the gist'}")
        record = _sent(api, parcel, target, asked.message or f"Save {parcel.names[0]}")
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


def _agree(magic: Any, target: Target, parcel: Parcel) -> None:
    """`SourceError` where only the notebook names the target, and no person agrees to it.

    Somebody else may have written it, to be sent what comes out of it on this machine.
    """
    key, lies = target.key, _cloned(parcel)
    if key in magic.session.confirmed or (target.to != "gist" and key == lies.key):
        return
    place = f"{target.repository}, {target.branch or 'the default branch'}, {target.path}"
    place = "a gist" if target.to == "gist" else place
    if confirm(magic.host, f"The notebook says that it is saved to {place}. Save it there?"):
        magic.session.confirmed.add(key)
        return
    named = "--gist" if target.to == "gist" else target.repository
    raise SourceError(
        f"Only the notebook says that it is saved to {place}; nothing was sent.",
        f"If it is to go there: %github save {named}",
    )


def _foreseen(parcel: Parcel, target: Target) -> Report:
    size = amount(sum(map(len, parcel.contents)))
    place = f"{target.repository}, {target.branch or 'the default branch'}, {target.path}"
    how = {"gist": "a gist", "pull": f"a pull request for {place}", "": place}[target.to]
    return Report((f"dry run: {', '.join(parcel.names)} ({size}) would go to {how}",))


def _sent(api: Any, parcel: Parcel, target: Target, message: str) -> Record:
    if target.to == "gist":
        return _to_gist(api, parcel, target, message)
    found = Repository(api, target.repository)
    target = target._replace(repository=found.name, branch=target.branch or found.default)
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
    url = f"{found.url}/blob/{quote(target.branch)}/{quote(target.path)}"
    if not saved.commit:
        return Record(target, "", url, (*note, f"{_same(target, name)}; nothing was sent"))
    count = f" and {len(saved.paths) - 1} more" if len(saved.paths) > 1 else ""
    said = f"{saved.paths[0]}{count} saved to {target.shown}: {saved.commit[:7]}"
    over = ", ".join(saved.changed)
    history = f"{found.url}/commits/{quote(target.branch)}"
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
    writer: Any = session.writer() if session.site.kind != "executor" else None
    if not hasattr(writer, "keep"):
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
