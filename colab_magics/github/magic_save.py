"""``%github save``: this notebook, and files of its folder, to a repository or a gist."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, List, NamedTuple, Optional, Tuple
from urllib.parse import quote as escape

from ..core.arguments import quote
from ..core.display import Report, amount
from ..core.errors import SourceError, input_errors, usage_error
from ..extension.magic import Call
from ..extension.output import Status, confirm
from ..notebook.reading import read_notebook, read_stored
from . import gists
from .contents import RemoteRepository
from .magic_token import sign_in
from .parcel import pack
from .pulls import propose
from .repository import SHA
from .target import REPOSITORY, Target, find_target


class Record(NamedTuple):
    """A save; ``commit`` is empty where nothing was sent, and for a gist."""

    target: Target
    commit: str
    url: str
    lines: Tuple[str, ...]


def save(magic: Any, call: Call, arguments: Namespace) -> Optional[Record]:
    """Send what differs; `SourceError` where something in it is a secret, and nothing is sent."""
    if arguments.gist and (arguments.pr or arguments.branch):
        hint = "Leave --pr and --branch out."
        raise usage_error("%github save: a gist has no branches.", hint, code="gist-branch")
    status, record = Status(magic.host, "quiet" in call.flags), None
    status("reading what is to be saved")
    with status:
        job = _Save(magic, arguments)
        if "dry_run" in call.flags:
            report = job.foresee()
        else:
            status(f"asking GitHub about {job.target.repository or 'the gist'}")
            record = job.send()
            magic.session.confirmed.add(record.target.key)
            report = Report((*record.lines, *job.remember(record.target), *job.note_age()))
    status.done(None if "quiet" in call.flags and record else report)
    return record


def read_target(session: Any) -> Target:
    """Return where this notebook was saved; empty where that is not known."""
    text = session.targets.get(session.host.client)  # newer than what could be written
    return Target.decode(text or read_stored(session.host, session.site, "github"))


class _Save:
    """One save: what is sent, and where to."""

    def __init__(self, magic: Any, arguments: Namespace) -> None:
        self.session, self.host, self.arguments = magic.session, magic.host, arguments
        notebook = read_notebook(self.host, self.session.site)
        self.remembered = read_target(self.session)
        self.has_name = notebook is None or bool(notebook.name)
        if notebook is not None and not notebook.name:  # Colab has not told it
            name = (arguments.path or self.remembered.path).rpartition("/")[2]
            notebook = notebook._replace(name=name)
        self.notebook = notebook
        path = notebook.path if notebook is not None else None
        folder = path.parent if path is not None else self.host.start
        words, self.repository = list(arguments.words), ""
        here = self.host.cwd or folder  # what is not there counts from the notebook's folder
        is_file = bool(words) and any((place / words[0]).exists() for place in (here, folder))
        if words and REPOSITORY.fullmatch(words[0]) and not is_file:
            self.repository = words.pop(0)
        if here != folder:
            words = [str(here / word) if (here / word).exists() else word for word in words]
        self.parcel = pack(notebook, folder, words, arguments.strip, self.session.source)
        self.clone = (find_target(path) if path is not None else None) or Target()
        self.target = self._choose_target()  # what is missing is said before anything is asked
        # Before the check: from here on the token is known, and searched for in what is sent.
        self.api = sign_in(self.host, arguments.token)
        self.parcel.check(arguments.message)

    def _choose_target(self) -> Target:
        """Return what is typed, else where it went last, else where its clone comes from."""
        arguments, remembered, clone = self.arguments, self.remembered, self.clone
        repository = self.repository or remembered.repository or clone.repository
        base = Target()
        for target in (clone, remembered):
            if target.repository and target.repository.lower() == repository.lower():
                base = target
        branch = "" if SHA.fullmatch(base.branch) else base.branch
        is_typed = self.repository or arguments.branch or arguments.path
        to = "" if is_typed else remembered.to
        to = "gist" if arguments.gist else "pull" if arguments.pr else to
        if not repository and to != "gist":
            raise usage_error(
                "%github save: where to? This notebook was not saved to GitHub before.",
                "Type %github save OWNER/REPO, or: %github save --gist",
                code="unknown-repository",
            )
        path = arguments.path or (base.path if self.notebook else "") or self.parcel.names[0]
        path = path if repository else ""
        return Target(repository, arguments.branch or branch, path, remembered.gist, to)

    def foresee(self) -> Report:
        """Return what would be sent."""
        size = amount(sum(map(len, self.parcel.contents)))
        return Report((f"Nothing was sent. {self._names} ({size}) would go to {self._place}",))

    @property
    def _names(self) -> str:
        return ", ".join(self.parcel.names)

    @property
    def _place(self) -> str:
        target = self.target
        place = f"{target.repository}, {target.branch or 'the default branch'}, {target.path}"
        return {"gist": "a gist", "pull": f"a pull request for {place}", "": place}[target.to]

    def send(self) -> Record:
        """Send what differs, after a person has confirmed what only the notebook says."""
        message = self.arguments.message or f"Save {self.parcel.names[0]}"
        if self.target.to == "gist":
            if not self.arguments.gist:
                self._confirm("--gist")
            return self._send_gist(message)
        repository = self._find_repository()
        if self.target.to == "pull":
            return self._send_pull(repository, message)
        return self._send_branch(repository, message)

    def _find_repository(self) -> RemoteRepository:
        """Return the repository, and complete the target by its name and default branch."""
        target, clone = self.target, self.clone
        if clone.repository.lower() != target.repository.lower():
            clone = Target()
        if not (self.repository or clone.repository):
            self._confirm(target.repository)
        repository = RemoteRepository(self.api, target.repository)
        branch = target.branch or repository.default_branch
        self.target = target._replace(repository=repository.name, branch=branch)
        path = self.arguments.path or (self.parcel.names[0] if self.has_name else "")
        words = repository.name
        if branch not in (self.arguments.branch, repository.default_branch, clone.branch):
            words += f" --branch {quote(branch)}"
        if target.path not in (path, clone.path):
            words += f" --path {quote(target.path)}"
        if (self.repository or clone.repository) and words != repository.name:
            self._confirm(words)
        return repository

    def _confirm(self, words: str) -> None:
        """Raise `SourceError` where only the notebook names a target, and no person confirms it.

        Somebody else may have written it, to be sent what comes out of it on this machine, or to
        have it replace another file. With ``words`` on the line, the person has named it.
        """
        if {self.target.key, self.remembered.key} & self.session.confirmed:
            return
        place = self._place
        if confirm(self.host, f"The notebook says that it is saved to {place}. Save it there?"):
            self.session.confirmed.add(self.target.key)
            return
        raise SourceError(
            f"Only the notebook says that it is saved to {place}; nothing was sent.",
            f"If it is to go there: %github save {words}",
            code="unconfirmed",
        )

    def _send_branch(self, repository: RemoteRepository, message: str) -> Record:
        target = self.target
        branch, label = escape(target.branch), f"{target.repository}, branch {target.branch}"
        is_new = repository.ensure_branch(target.branch)
        lines = [f"Branch {target.branch} is new"] if is_new else []
        files = self.parcel.files(target.path, target)
        saved = repository.save(target.branch, files, message)
        url = f"{repository.url}/blob/{branch}/{escape(target.path)}"
        if not saved.commit:
            lines.append(f"{self._names} is already saved to {label}; nothing was sent")
            return Record(target, "", url, tuple(lines))
        more = f" and {len(saved.paths) - 1} more" if len(saved.paths) > 1 else ""
        lines += [f"{saved.paths[0]}{more} saved to {label}: {saved.commit[:7]}", url]
        if saved.changed:
            history = f"{repository.url}/commits/{branch}"
            changed = ", ".join(saved.changed)
            lines.append(f"{changed} had changed there since your last save: see {history}")
        return Record(target, saved.commit, url, tuple(lines))

    def _send_pull(self, repository: RemoteRepository, message: str) -> Record:
        target = self.target
        files = self.parcel.files(target.path, target)
        saved, pull = propose(repository, target.branch, files, message)
        if pull is None:
            label = f"{target.repository}, branch {target.branch}"
            line = f"{self._names} is already saved to {label}; no pull request was made"
            return Record(target, "", repository.url, (line,))
        verb = "opened" if pull.is_new else "updated" if saved.commit else "has it already"
        lines = (f"Pull request #{pull.number} {verb}", pull.url)
        return Record(target, saved.commit, pull.url, lines)

    def _send_gist(self, message: str) -> Record:
        files = self.parcel.files(self.parcel.names[0], self.target._replace(to=""))
        gist = gists.save(self.api, self.target.gist, files, message)
        line = "Already saved to the gist; nothing was sent"
        if gist.sent:
            line = "Saved to the gist"
        if gist.is_new:
            line = "Saved to a new secret gist: whoever has its address can read it"
        return Record(self.target._replace(gist=gist.id), "", gist.url, (line, gist.url))

    def remember(self, target: Target) -> List[str]:
        """Write the target into the notebook, else remember it here; return a message."""
        session, text = self.session, target.encode()
        if target == self.remembered:
            return []
        session.targets[session.host.client] = text
        writer = session.writer()
        if writer is None or not writer.can_set_metadata:
            return ["Remembered for this kernel: next time, type %github save"]
        try:
            if writer.set_metadata("github", text) != "written":  # else it is not on disk yet
                session.targets.pop(session.host.client)
        except input_errors() as error:
            return [f"Remembered for this kernel only. {str(error).splitlines()[0]}"]
        return ["Remembered in the notebook: next time, type %github save"]

    def note_age(self) -> List[str]:
        """Return a message where the file was sent, and the page may show something newer."""
        if self.notebook is None or self.notebook.live:
            return []
        if self.session.site.kind == "run":
            return ["This is the file as it was before this run"]
        return ["This is the file as it was last saved; later edits are not in it"]
