"""``%pin``."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, List, Optional

from ..core.arguments import Parser
from ..core.display import Report
from ..core.errors import OtherPython, RestartRequired, bad_input, usage_error
from ..core.steps import Outcome, Step, parse
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..setup.magic_status import standing
from .hooks import LockKeeper
from .parse import COMMANDS
from .requirements import body_words, carries_secret
from .step import PinStep


class PinMagic(Magic):
    """Install exact versions, and remember them in the notebook's setup cell.

    ``%pip`` tries, ``%pin`` keeps. What holds already is left alone; what differs is
    installed by uv (or pip) with your own pip settings. A name without a version is
    recorded with the version that is installed.

    Examples
    --------
    ::

        %pin numpy==2.1.3 pandas==2.2.3
        %pin "requests[socks]>=2.31"
        %pin -r requirements.txt -c constraints.txt
        %pin torch==2.4.1 --index-url https://download.pytorch.org/whl/cu121
        %pin                     # what is pinned, and whether it holds
        %pin freeze              # keep what this kernel has imported, at its versions
        %pin torch==1.5 --python 3.8   # in another Python, to which the notebook is switched
        %pin environments        # those Pythons; %pin environments remove NAME
        %pin lock --check        # whether this machine is as the notebook's lock says
        %pin undo                # back to before the last install, on the machine and here

        %%pin
        torch==2.4.1             # one requirement a line
        transformers==4.46.0

    The lock
    --------
    After a pin the exact set behind all pins (versions, hashes) is kept in the notebook's
    metadata, where it can be written, and the setup cell installs exactly that on the same Python
    and platform. ``%pin lock`` makes it of what is installed now, ``%pin lock --check`` compares,
    ``%pin lock --upgrade`` first takes what the pins need in its newest version.

    Options
    -------
    Of the place: ``-r FILE``, ``-c FILE``, ``-e FOLDER``, ``--index-url URL``,
    ``--extra-index-url URL``, ``--find-links PLACE``, ``--torch-backend auto|cpu|cu126``,
    ``--index-auth NAME`` (the environment variable with USER:PASSWORD or a token for them),
    ``--pre``, ``--no-deps``. They are recorded, and mean what pip means by them.

    ``--python VERSION``: on another Python, in an environment of this notebook's own that is made
    the first time; JupyterLab and Notebook 7 are switched to it and go on there.
    ``--upgrade``: the newest version that fits; recorded is the version that was installed.
    ``--allow-kernel-changes``: also what runs this kernel.
    ``-q``: say nothing. ``-o``: return the outcome. ``--no-record``: do not remember it.
    ``--dry-run``: only show the plan: what differs, what would be installed, how large it is.
    ``--restart``: where an older version is loaded, restart the kernel at once and run again
    what was under way (JupyterLab and Notebook 7; without it a button offers the same).
    ``--no-lock``: keep no lock in this notebook from now on.
    ``--keep-going``: do not stop the cell although an older version is loaded.
    """

    name = "pin"
    own_flags = ("restart", "keep_going", "no_lock")
    offers = (
        *(
            "freeze",
            "undo",
            "environments",
            "lock",
            "--python",
            "-r",
            "-c",
            "-e",
            "--index-url",
            "--extra-index-url",
            "--index-auth",
        ),
        *("--find-links", "--torch-backend", "--pre", "--no-deps", "--upgrade", "--restart"),
        *("--keep-going", "--allow-kernel-changes", "--dry-run", "--no-record", "--no-lock"),
    )

    def run(self, call: Call) -> Any:
        """Pin what the line and the body ask for."""
        if call.body is None and call.words and call.words[0] in COMMANDS:
            return getattr(self, call.words[0])(call)
        words = [*call.words, *body_words(call.body or "")]
        step = parse(self.name, words)
        if step is None and call.body is not None:
            raise usage_error("%%pin: no requirement in the body.", "Write one a line.")
        if isinstance(step, PinStep) and "no_record" in call.flags:
            step = replace(step, how=step.how | {"no_record"})
        return self.bare(call) if step is None else self.perform(step, call)

    def bare(self, call: Call) -> Any:
        """Show each pin: wanted, installed, loaded in this kernel, and whether it holds."""
        pins = self.session.standing("pin")
        if not pins:
            say("Nothing is pinned in this notebook. For instance: %pin numpy==2.1.3")
            return pins
        head = ("", "wanted", "installed", "loaded in this kernel", "")
        show(Report((), (head, *standing(pins, self.host))))
        return pins

    def perform(self, step: Step, call: Call) -> Optional[Outcome]:
        """See `Magic`; what stood in the setup cell is kept for ``%pin undo``."""
        from .journal import last

        known, done = last(), self.session.done
        outcome: Optional[Outcome] = None
        try:
            outcome = super().perform(step, call)
            return outcome
        finally:
            if outcome is not None or last() != known:
                applied = outcome is None or outcome.status == "applied"
                self.session.hooks.of(LockKeeper).pinned(applied, "no_lock" not in call.flags)
            if "no_record" not in call.flags and last() != known:
                from .magic_undo import keep_lines

                with suppress(*bad_input()):  # it is installed; the record says its own trouble
                    keep_lines(self.session, known, done)

    def undo(self, call: Call) -> Any:
        """Take the last installation back, on the machine and in the setup cell."""
        from .magic_undo import take_back

        if call.words[1:]:
            raise usage_error("%pin undo takes no names.", "It undoes the last installation.")
        changes, error = take_back(self.session, call)
        if error is not None:
            self.stop(error, call)
        return changes

    def environments(self, call: Call) -> Any:
        """List the environments of other Pythons, or remove one."""
        from .magic_environments import environments

        return environments(call)

    def lock(self, call: Call) -> Any:
        """Make the notebook's lock, compare this machine with it, or renew it."""
        from .magic_lock import lock

        return lock(self, call)

    def freeze(self, call: Call) -> Any:
        """Pin what this kernel has imported (or all that is installed) at its version."""
        from .freeze import frozen

        parser = Parser("%pin freeze", usage="%pin freeze [--all]")
        parser.add_argument("--all", action="store_true")
        found = frozen(parser.parse_args(list(call.words[1:])).all)
        if found.local:
            say(f"Left out, installed from a folder of this machine: {', '.join(found.local)}")
        if not found.names:
            raise usage_error("%pin freeze: nothing is imported yet.", "Or: %pin freeze --all")
        return self.perform(PinStep(found.names), call)

    def report(self, outcome: Outcome, call: Call) -> Report:
        """Add what to do about a password that was typed."""
        shown = super().report(outcome, call)
        if outcome.step is None and carries_secret(" ".join([*call.words, call.body or ""])):
            return Report((*shown.lines, _TYPED_IN))
        return shown

    def stop(self, error: Exception, call: Call) -> None:
        """A restart that is needed stops the cell, unless the line says to go on without."""
        if isinstance(error, RestartRequired):
            error.now = "restart" in call.flags or isinstance(error, OtherPython)
            if "keep_going" in call.flags:
                return say(f"{error.message} {error.hint}")
        raise error

    def complete(self, line: str, symbol: str) -> List[str]:
        """Names of installed packages, and options."""
        if not symbol or symbol.startswith("-"):
            return super().complete(line, symbol)
        from .environment import versions

        return [f"{n}=={v}" for n, v in sorted(versions().items()) if n.startswith(symbol)]


_TYPED_IN = (
    "Not recorded: the URL holds a password. Take it out of this cell, clear the history "
    "(%history -g), and use a credential helper."
)
