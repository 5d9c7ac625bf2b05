"""``%secret``."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any, Iterator, List

from ..core.arguments import FLAGS, Parser
from ..core.display import Report
from ..core.errors import SourceError
from ..core.redact import register_secret
from ..core.steps import parse
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from .lookup import PLACES, Unanswered
from .places import ask_for
from .step import SecretStep, parser
from .stores import STORES, Store, choose_store


class SecretMagic(Magic):
    """Set environment variables from secrets, by one name on any host; remember the names.

    The first of these that has it is used: the environment, Colab's secrets, Kaggle's, the system's
    keyring (``pip install keyring``), a file that only you can read, a file ``.env``
    of the project, and you, where somebody is present. The value is never shown, nor written into
    the notebook, and from then on removed from everything that these magics show.

    Examples
    --------
    ::

        %secret HF_TOKEN                   # in os.environ, wherever it is stored
        %secret HF_TOKEN WANDB_API_KEY
        %secret HF_TOKEN --from colab      # only there
        %secret                            # which remembered ones are set
        %secret set HF_TOKEN               # asks you, and stores it on this machine
        %secret set HF_TOKEN --to file
        %secret list                       # the names that are stored
        %secret delete HF_TOKEN
    """

    name = "secret"
    completes = "secret"

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def run(self, call: Call) -> Any:
        """Set the secrets of the line, unless its first word can only be meant as a command."""
        step, word = parse(self.name, call.words), (*call.words, "")[0]
        is_typed = isinstance(step, SecretStep) and not self.session.is_setup_running
        if is_typed and word not in os.environ and parser().find_command(word):
            raise parser().unknown_command(word)
        return super().run(call)

    def may_repeat(self, line: str) -> bool:
        """See `Magic`: not with a word that is neither known nor an ordinary name."""
        known = {*parser().complete([], ""), "--to", *FLAGS, *PLACES, *STORES, *os.environ}
        words = line.split()[1:]
        return all(word in known or re.fullmatch("[A-Z_]+", word) for word in words)

    def complete(self, line: str, symbol: str) -> List[str]:
        """See `Magic`; add the names that are stored; a keyring is not asked, it may ask back."""
        words = super().complete(line, symbol)
        with suppress(Exception):  # Tab is no place for an error
            words += choose_store("file").names()
        return [word for word in words if word.startswith(symbol)]

    def bare(self, call: Call) -> Any:
        """Show the remembered secrets; or set, list or delete stored ones."""
        command, arguments = parser().parse_words(call.words)
        if not command:
            self._show_remembered()
        elif command == "list":
            _show_stored()
        else:
            (name,) = arguments.names
            set_ = command == "set"
            message = self._set(name, choose_store(arguments.to)) if set_ else _delete(name)
            if "quiet" not in call.flags:
                say(message)

    def _show_remembered(self) -> None:
        steps = self.session.recorded_parts("secret")
        if steps:
            rows = [(" ".join(step.arguments()), step.check(self.host).message) for step in steps]
            show(Report(rows=tuple(rows), head=("secret", "state")))
        else:
            say("This notebook uses no secret yet. For instance: %secret HF_TOKEN")

    def _set(self, name: str, store: Store) -> str:
        """Ask the user, who must be present; what is typed is not shown."""
        if not self.host.may_ask or self.host.context.runs_on_server():
            raise SourceError(
                f"Nobody is here to type {name}; nothing was stored.",
                "Run this in an open notebook, or in a terminal.",
                code="nobody",
            )
        value = ask_for(self.host, name)
        if not value:
            raise SourceError("Nothing was typed; nothing was stored.", "Run it again.")
        register_secret(value)
        try:
            store.set(name, value)
        except Unanswered as error:
            raise SourceError(
                f"{name} was not stored: {store.label} cannot be used.",
                "Try: --to file" if store.name != "file" else "Fix that, then run it again.",
                str(error),
                code="not-stored",
            ) from None
        lost = ", which is lost with this machine" if self.host.ephemeral else ""
        message = f"{name} is stored in {store.label}{lost}. "
        if os.environ.get(name, value) == value:
            return f"{message}Set it in any notebook: %secret {name}"
        # The environment comes first: with the old value a new token would do nothing.
        os.environ[name] = value
        return f"{message}This kernel uses the new value too"


def _show_stored() -> None:
    rows = []
    for store in _usable_stores():
        try:
            rows += [(name, f"in {store.label}") for name in store.names()]
        except Unanswered as error:
            rows.append((store.label, str(error)))
    if rows:
        show(Report(rows=tuple(rows), head=("secret", "stored")))
    else:
        say("No secret is stored on this machine. Store one: %secret set HF_TOKEN")


def _delete(name: str) -> str:
    """Delete it from each store; one that does not answer does not stop the others."""
    deleted: List[str] = []
    failed: List[str] = []
    for store in _usable_stores():
        try:
            deleted += [store.label] if store.delete(name) else []
        except Unanswered as error:
            failed.append(f"{store.label}: {error}")
    message = f"{name} was not found"
    if deleted:
        message = f"{name} is no longer in {' and '.join(deleted)}"
    if failed:
        raise SourceError(
            f"{message}; it may still be in a store that does not answer.",
            "Fix that, then run it again.",
            "\n".join(failed),
            code="not-deleted",
        )
    if not deleted:
        hint = "List the stored names: %secret list"
        raise SourceError(f"{name} is not stored here.", hint, code="secret-missing")
    return message


def _usable_stores() -> Iterator[Store]:
    for name in STORES:
        try:
            yield choose_store(name)
        except SourceError:
            continue
