"""What is shown when a setup cell has run, and what is noted when one is made."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple

from ..core.errors import NotebookError, RestartRequired
from ..core.steps import Outcome, Step
from ..extension.output import say
from ..extension.recording import show_place
from ..extension.session import Hook, Session
from ..notebook.made_on import MadeOn
from ..notebook.reading import read_stored
from ..record.cell import is_setup, others_than_head, parse
from ..record.record import count_steps, lines_in_words

if TYPE_CHECKING:
    from .magic_trust import Trust

_LOAD = re.compile(r"^%load_ext[ \t]+colab_magics\b", re.MULTILINE)


class SetupVerdict(Hook):
    """One line below a setup cell that has run: whether all is ready, and what was done for it."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._begin(session.running)
        _hide_note_of_pip(session)

    def _begin(self, source: str) -> None:
        self._began, self._ended = time.monotonic(), 0
        #: The status of a shell's command before this cell, or before we were loaded in it.
        self._status: Optional[int] = None
        if is_setup(source):  # a command that fails raises nothing
            self._status = self.session.host.shell.user_ns.pop("_exit_code", None)
        #: The magics whose lines have changed something, in their order.
        self._applied: Dict[str, None] = {}

    def cell_begins(self, source: str) -> None:
        """Begin anew, but for a cell within another one."""
        if self.session.depth < 2:
            self._begin(source)

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """Note what a line has come to."""
        self._ended += 1
        if outcome.status == "applied":
            self._applied[f"%{step.word}"] = None

    def cell_recorded(self, result: Any) -> None:
        """Show the verdict below a setup cell."""
        session = self.session
        if is_setup(session.source):
            if session.depth < 2 and not isinstance(result.error_in_exec, RestartRequired):
                say(*self._verdict(result))
                if self._applied:
                    show_place(session)
        elif session.depth and session.host.live and _LOAD.search(session.source):
            session.notices.once("colab_magics is loaded already; the line %load_ext may stay.")

    def _verdict(self, result: Any) -> Tuple[str, ...]:
        variables = self.session.host.shell.user_ns
        status = variables.get("_exit_code")
        if status is None and self._status is not None:
            variables["_exit_code"] = self._status
        if result.error_before_exec:  # it has to be edited
            return ()
        count = count_steps(parse(self.session.source))
        ended = min(self._ended, count or self._ended)  # one in a loop ends more than once
        if not result.success:
            text = f"Setup stopped after {ended} of {count} lines. "
            return (text + "Run this cell again: what is done is skipped.",)
        if status:
            return (f"Setup not ready: the last command of this cell failed (status {status}).",)
        if not ended:
            return ()
        took = f", {time.monotonic() - self._began:.1f} s"
        if self.session.site.kind in {"run", "executor"}:  # a second run is to change no output
            took = ""
        done = f"Done now: {', '.join(self._applied)}" if self._applied else "Nothing was missing"
        return (f"Setup ready: {lines_in_words(ended)}{took}. {done}.",)


class TrustGate(Hook):
    """Before the lines of a setup cell do anything: show what, and ask about what is dangerous.

    The variable is read before a cell's lines could set it.
    """

    _trust: Optional[Trust] = None

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._mode = os.environ.get("COLAB_MAGICS_TRUST", "")

    @property
    def trust(self) -> Trust:
        """What is known of the lines, made when it is first needed."""
        if self._trust is None:
            from .magic_trust import Trust

            self._trust = Trust(self.session)
        return self._trust

    def cell_begins(self, source: str) -> None:
        """Read the variable; the next card is that of this cell."""
        self._mode = os.environ.get("COLAB_MAGICS_TRUST", "")
        if self._trust is not None:
            self._trust.cell_begins()

    def step_applies(self, step: Step) -> None:
        """Show the card, and ask."""
        if self.session.is_setup_running:
            self.trust.step_applies(step, self._mode)

    def step_ended(self, step: Step, outcome: Outcome, flags: Tuple[str, ...]) -> None:
        """Note what this user has typed."""
        is_recorded = outcome.step is not None and "no_record" not in flags
        if is_recorded and not self.session.is_setup_running:
            self.trust.step_ended(outcome.step or step)

    def cell_recorded(self, result: Any) -> None:
        """Sign what this user has typed or agreed to."""
        if self._trust is not None:
            with suppress(NotebookError):  # a page of an older release does not know this value
                self._trust.cell_recorded()


class NoteMadeOn(Hook):
    """Keep where the notebook was made when its first line is recorded; forget it with the last."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._text: Optional[str] = None
        self._edited = False

    def cell_begins(self, source: str) -> None:
        """See the setup cell as it is before this cell."""
        self._text, self._edited = self._known_text(), False

    def setup_edited(self) -> None:
        """Note that lines may be gone."""
        self._edited = True

    def cell_recorded(self, result: object) -> None:
        """Keep or remove the note where this cell has changed the setup cell."""
        text = self._known_text()
        is_new = text is not None and text != self._text
        if is_setup(self.session.source) or not (is_new or self._edited):
            return
        with suppress(NotebookError):  # a page of an older release does not know this value
            self._renew()

    def _renew(self) -> None:
        session = self.session
        writer = session.writer()
        if writer is None or not writer.can_set_metadata:
            return
        known = read_stored(session.host, session.site, "made_on")
        if not count_steps(session.lines()[0] or ()):
            if known is not None:
                writer.set_metadata("made_on", None)
        elif MadeOn.decode(known) is None:
            from .magic_made_on import here

            writer.set_metadata("made_on", here().encode())

    def _known_text(self) -> Optional[str]:
        return self.session.setup_texts.get(self.session.host.client)


def _hide_note_of_pip(session: Session) -> None:
    """Clear what ``%pip`` has printed above the line of a setup cell that loads this extension.

    It tells people to restart the kernel, which is wrong: nothing had loaded the package. Only
    where no line of the user's own stands above it, whose output would be cleared too.
    """
    head, loads, _ = session.running.partition("load_ext colab_magics")
    others = others_than_head(head.split("\n")[:-1])
    is_ours = is_setup(head) and all(text.startswith("#") for text in others)
    if loads and is_ours and session.site.kind != "terminal":
        from IPython.display import clear_output

        clear_output(wait=True)
