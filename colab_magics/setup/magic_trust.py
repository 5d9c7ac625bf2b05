"""``%setup plan``, the card at the head of a setup cell's run, and what a person is asked there.

The card is shown before the first line is applied that does not hold, and again for what only then
turns out: so a cell of which all lines hold, or whose other lines have no effects, has none.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import List, Optional, Sequence, Set, Tuple

from ..core.display import Report
from ..core.effects import Effects, clean_text, join
from ..core.errors import ColabMagicsError, NotebookError, NotOwn, input_errors
from ..core.host import Host
from ..core.redact import redact
from ..core.steps import Step
from ..core.system_errors import explain_system_errors
from ..drive.step import current, find_mounted
from ..extension.output import confirm, show
from ..extension.session import Session
from ..notebook.reading import read_stored
from ..record.cell import Line, brief, is_expanded, parse, render_step
from .card import Audit, Card, Plan, PlannedLine, describe_danger
from .magic_status import judge
from .signature import decode, is_signed, make_key, read_keys, sign

#: A line and its effects.
Described = Tuple[Step, Effects]


def describe_effects(step: Step, host: Host) -> Effects:
    """Return the effects of a line; one that does not tell them, or cannot, is not known."""
    try:
        with explain_system_errors():
            effects = step.effects(host)
    except input_errors():
        effects = None
    return Effects(unknown=(clean_text(brief(render_step(step))),)) if effects is None else effects


# ---------------------------------------------------------------------- whose lines they are
def list_key_places(host: Host) -> List[Path]:
    """Return where this user's key may be: on Colab's own Drive, and with the secrets.

    Another kind of drive may be what a line of the notebook has made of a folder.
    """
    point = current(host)
    mounted = find_mounted(host, point) if host.colab else None
    on_drive = mounted is not None and mounted[0].name == "colab"
    places = [point / "MyDrive/colab_magics/trust.key"] if on_drive else []
    return [*places, *([host.trust_key] if host.trust_key is not None else [])]


def _get_key(host: Host) -> Optional[bytes]:
    """Return the key to sign with, made in the first place where none is; None: not possible."""
    places = list_key_places(host)
    keys = read_keys(places)
    with suppress(OSError, NotOwn):
        return keys[0] if keys else make_key(places[0]) if places else None
    return None


class Trust:
    """What a kernel knows of the lines of the setup cells that run in it."""

    def __init__(self, session: Session) -> None:
        self._session, self._host = session, session.host
        #: What the card of the running cell has shown; None: no card yet.
        self._shown: Optional[Effects] = None
        #: Whether a question waits until the drive with the key is mounted.
        self._is_deferred = False
        #: The lines that this user has typed or agreed to, with their effects.
        self._own: List[Described] = []
        self._signed: Set[str] = set()

    def cell_begins(self) -> None:
        """Begin anew: the next setup cell has a card of its own."""
        self._shown, self._is_deferred = None, False

    # ------------------------------------------------------------------ while it runs
    def step_applies(self, step: Step, mode: str) -> None:
        """Show what is about to happen, where that was not shown, and ask what is to be asked.

        ``mode``: ``all`` lines are trusted, ``none`` that is dangerous; else a person is asked.
        """
        is_first = self._shown is None
        # Pins are applied together, also one whose file an earlier line has just brought.
        is_every = is_first or self._is_deferred
        others = (
            self._list_others("" if is_every else "pin") if is_every or step.word == "pin" else []
        )
        lines = [(step, describe_effects(step, self._host)), *others]
        unknown = tuple(self._list_expanded()) if is_first else ()
        every = join([*(each for _, each in lines), Effects(unknown=unknown)])
        new = every.without(self._shown or Effects())
        self._shown = join([self._shown or Effects(), every])
        if new != Effects():
            self._show_card(new, [step for step, _ in lines])
        dangerous = [each for each in lines if each[1].dangers]
        if mode != "all" and dangerous:
            self._ask(dangerous, mode, step)

    def _list_others(self, word: str) -> List[Described]:
        """Return the lines of the running cell, or those of one kind, that do not hold.

        None that has no effects is among them.
        """
        lines = [line.step for line in self._parse() if line.step]
        lines = [each for each in lines if not each.asks_page and word in ("", each.word)]
        every = [(each, describe_effects(each, self._host)) for each in lines]
        return [
            (each, effects)
            for each, effects in every
            if effects != Effects() and judge(each, self._host).state != "ok"
        ]

    def _parse(self) -> List[Line]:
        """Return the lines of the running cell; none of a newer format, refused when it ends."""
        try:
            return parse(self._session.running)
        except NotebookError:
            return []

    def _list_expanded(self) -> List[str]:
        """Return the lines whose meaning IPython makes when they run."""
        lines = [line for line in self._parse() if line.step]
        return [clean_text(brief(line.text)) for line in lines if is_expanded(line.text)]

    def _show_card(self, effects: Effects, steps: Sequence[Step]) -> None:
        from .magic_audit import SERVICE, audit, list_versions  # slow to import

        packages = list_versions(steps) if self._host.live and self._host.person else []
        if not packages:
            show(Card(effects))
            return
        effects = join([effects, Effects(hosts=(SERVICE,))])
        handle = show(Card(effects, Audit(reason="being looked up")), live=True)
        handle.update(Card(effects, audit(packages)))

    def _ask(self, lines: Sequence[Described], mode: str, step: Step) -> None:
        """Raise where a dangerous line is refused; nothing where nobody is there to be asked."""
        if mode != "none":
            if not self._host.person:
                return
            # The key of a machine that is wiped is on the drive.
            is_own = step in [each for each, _ in lines]
            self._is_deferred = step.word == "drive" and self._host.ephemeral and not is_own
            if self._is_deferred:
                return
            lines = [each for each in lines if not self._is_trusted(*each)]
            if not lines:
                return
        texts = list(dict.fromkeys(redact(brief(render_step(each))) for each, _ in lines))
        every = join(effects for _, effects in lines).dangers
        dangers = list(map(describe_danger, every))
        if mode != "none":
            head = "Rare, and dangerous if you do not know who wrote it:"
            show(Report((head, *texts, *dangers)))
            with suppress(EOFError):
                if confirm(self._host, f"Run {'it' if len(texts) == 1 else 'them'}?"):
                    self._own += lines
                    return
        raise ColabMagicsError(
            f"Not done: {dangers[0]}.",
            "Remove it, or where you trust it: %env COLAB_MAGICS_TRUST=all, and run this again.",
            "\n".join(texts),
            code="untrusted",
        )

    def _is_trusted(self, step: Step, effects: Effects) -> bool:
        own = {danger for _, each in self._own for danger in each.dangers}
        if own.issuperset(effects.dangers):
            return True
        known = decode(read_stored(self._host, self._session.site, "trust")) | self._signed
        return is_signed(step, effects, read_keys(list_key_places(self._host)), known)

    # ------------------------------------------------------------------ when it has ended
    def step_ended(self, step: Step) -> None:
        """Note a line that this user has typed and that is recorded."""
        effects = describe_effects(step, self._host)
        if effects.dangers:
            self._own.append((step, effects))

    def cell_recorded(self) -> None:
        """Sign the dangerous lines of the setup cell that this user has typed or agreed to."""
        writer = self._session.writer() if self._own else None
        if writer is None or not writer.can_set_metadata:
            return
        own = {danger for _, each in self._own for danger in each.dangers}
        lines = [line.step for line in self._session.known_lines if line.step]
        described = [(step, describe_effects(step, self._host)) for step in lines]
        wanted = [each for each in described if each[1].dangers and own.issuperset(each[1].dangers)]
        key = _get_key(self._host) if wanted else None
        if key is None:
            return
        known = decode(read_stored(self._host, self._session.site, "trust")) | self._signed
        every = {sign(*each, key) for each in described if each[1].dangers}
        new = (known & every) | {sign(*each, key) for each in wanted}
        if new - known:
            writer.set_metadata("trust", " ".join(sorted(new)))
        self._signed = new


# ---------------------------------------------------------------------- %setup plan
def make_plan(lines: Sequence[Line], host: Host, signatures: Optional[str]) -> Plan:
    """Return what lines would do on a machine that has nothing of it; no line is executed."""
    from .magic_audit import audit, list_versions  # slow to import

    known, keys = decode(signatures), read_keys(list_key_places(host))
    planned: List[PlannedLine] = []
    steps = [line.step for line in lines if line.step]
    effects: List[Effects] = []
    for step in steps:
        each = describe_effects(step, host)
        trusted = not each.dangers or is_signed(step, each, keys, known)
        state = "unknown" if step.asks_page else judge(step, host).state
        planned.append(PlannedLine(redact(brief(render_step(step))), state, trusted, each))
        effects.append(each)
    packages = list_versions(steps)
    found = audit(packages) if packages else None
    return Plan(tuple(planned), Card(join(effects), found))
