"""``%secret``."""

from __future__ import annotations

import os
from typing import Any, List

from ..core.arguments import Parser
from ..core.display import Report
from ..core.errors import SourceError
from ..core.redact import register_secret
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from .lookup import PLACES, Kept, Unanswered, is_name, keeps
from .step import refused
from .stores import ask


class SecretMagic(Magic):
    """Set environment variables from secrets, by one name on any host; remember the names.

    Looked at are, in this order: the environment, Colab's secrets, Kaggle's, the system's keyring
    (``pip install colab-magics[keyring]``), a file that only you can read, a file ``.env`` of the
    project, and you, where somebody is there. The value is never shown, nor written into the
    notebook, and from then on taken out of all that these magics say.

    Examples
    --------
    ::

        %secret HF_TOKEN                   # in os.environ, wherever it is kept
        %secret HF_TOKEN WANDB_API_KEY
        %secret HF_TOKEN --from colab      # only there
        %secret                            # how the remembered ones stand
        %secret set HF_TOKEN               # asks you, and keeps it on this machine
        %secret set HF_TOKEN --to file
        %secret list                       # the names that are kept
        %secret delete HF_TOKEN

    Options
    -------
    ``-q``: say nothing. ``-o``: return the outcome. ``--dry-run``: only say what differs.
    ``--no-record``: do not remember it.
    """

    name = "secret"
    offers = ("set", "list", "delete", "--from", "--to", *PLACES)

    def bare(self, call: Call) -> Any:
        """Show how the remembered ones stand; or set, list or delete kept ones."""
        if not call.words:
            return self._standing()
        parser = Parser("%secret", usage="%secret set|list|delete [NAME] [--to keyring|file]")
        parser.add_argument("command", choices=["set", "list", "delete"])
        parser.add_argument("--to", choices=["keyring", "file"], default="")
        found, names = parser.parse_known_args(list(call.words))
        if found.command == "list":
            return self._list()
        wrong = [word for at, word in enumerate(names) if at or not is_name(word)]
        if wrong or not names:  # a value behind the name is a natural mistake
            raise refused(wrong, f"%secret {found.command} takes one name")
        (name,) = names
        said = self._set(name, keeps(found.to)) if found.command == "set" else _delete(name)
        if "quiet" not in call.flags:
            say(said)
        return None

    def _standing(self) -> None:
        """Each that is remembered, and whether it is set."""
        steps = self.session.standing("secret")
        if not steps:
            say("No secret is remembered. Set one: %secret HF_TOKEN")
            return
        rows = [(" ".join(s.arguments()), s.check(self.host).message) for s in steps]
        show(Report(rows=tuple(rows)))

    def _set(self, name: str, place: Kept) -> str:
        """Ask a person for it, who must be there; what is typed is not shown."""
        if not self.host.may_ask:
            raise SourceError(
                f"Nobody is there to type {name}; nothing was kept.",
                "Run this in a notebook that is open before you, or in a terminal.",
            )
        value = ask(name)
        if not value:
            raise SourceError("Nothing was typed; nothing was kept.", "Run it again.")
        register_secret(value)
        try:
            place.set(name, value)
        except Unanswered as error:
            raise SourceError(
                f"{name} was not kept: {place.called} cannot be used.",
                "Try: --to file" if place.name != "file" else "Put that right, then run it again.",
                str(error),
            ) from None
        lost = ", which is lost with this machine" if self.host.ephemeral else ""
        said = f"{name} is kept in {place.called}{lost}. "
        if os.environ.get(name, value) == value:
            return f"{said}Set it in any notebook: %secret {name}"
        # A variable that is set counts first: with the old value a new token would do nothing.
        os.environ[name] = value
        return f"{said}It replaces the value that {name} had in this kernel"

    def _list(self) -> None:
        """Names and places, never values."""
        rows = []
        for one in _kept():
            try:
                rows += [(name, f"in {one.called}") for name in one.names()]
            except Unanswered as error:
                rows.append((one.called, str(error)))
        if rows:
            show(Report(rows=tuple(rows)))
        else:
            say("No secret is kept on this machine. Keep one: %secret set HF_TOKEN")


def _delete(name: str) -> str:
    """From each place that we keep secrets in; one that cannot be used is no reason to stop."""
    gone: List[str] = []
    failed: List[str] = []
    for one in _kept():
        try:
            gone += [one.called] if one.delete(name) else []
        except Unanswered as error:
            failed.append(f"{one.called}: {error}")
    said = f"{name} is no longer in {' and '.join(gone)}" if gone else f"{name} was not found"
    if failed:
        raise SourceError(
            f"{said}; it may still be in what cannot be used.",
            "Put that right, then run it again.",
            "\n".join(failed),
        )
    if not gone:
        raise SourceError(f"{name} is not kept here.", "See which are: %secret list")
    return said


def _kept() -> Any:
    """The places that we keep secrets in, of those that are there."""
    for name in ("keyring", "file"):
        place = keeps("file") if name == "file" else _keyring()
        if place is not None:
            yield place


def _keyring() -> Any:
    try:
        return keeps("keyring")
    except SourceError:
        return None
