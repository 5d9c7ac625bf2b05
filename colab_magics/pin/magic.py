"""``%pin``."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..core.arguments import FLAGS, Parser
from ..core.display import Report
from ..core.errors import (
    ColabMagicsError,
    InstallFailed,
    OtherPython,
    RestartRequired,
    usage_error,
)
from ..core.steps import Outcome, Step
from ..extension.magic import Call, Magic
from ..extension.output import confirm, say, show
from ..setup.magic_status import Row, judge, row
from .cell_step import CellStep
from .requirements import body_words, carries_secret, requirement
from .step import PinStep, parser


class PinMagic(Magic):
    """Install exact versions, and remember them in the notebook's setup cell.

    ``%pip`` tries, ``%pin`` keeps. What holds already is left alone; what differs is
    installed by uv (or pip) with your own pip settings. A name without a version is
    recorded with the version that is installed. Options of the place (indexes, ``-c``, ``--pre``
    and so on) are recorded, and mean what pip means by them.

    Examples
    --------
    ::

        %pin numpy==2.1.3 pandas==2.2.3
        %pin "requests[socks]>=2.31"
        %pin -r requirements.txt -c constraints.txt
        %pin torch==2.4.1 --index-url https://download.pytorch.org/whl/cu121
        %pin                     # what is pinned, and whether it holds
        %pin freeze              # keep what this kernel has imported, at its versions
        %pin pandas==2.2.2 --build     # also from source, where there is no wheel for this Python
        %pin torch==1.5 --python 3.8   # in another Python, to which the notebook is switched
        %pin numpy pandas --as-of 2020-07-11   # the newest of that day, and what they need
        %pin environments        # those Pythons; %pin environments remove NAME
        %pin lock --check        # whether this machine is as the notebook's lock says
        %pin undo                # back to before the last install, on the machine and here
        %pin -- undo             # the package of that name

        %%pin
        torch==2.4.1             # one requirement a line
        transformers==4.46.0

    The lock
    --------
    After a pin the exact set behind all pins (versions, hashes) is kept in the notebook's
    metadata, where it can be written, and the setup cell installs exactly that on the same Python
    and platform. ``%pin lock`` makes it of what is installed now, ``%pin lock --check`` compares,
    ``%pin lock --upgrade`` first takes what the pins need in its newest version.

    Flags
    -----
    ``-q``: say nothing. ``-o``: return the outcome. ``--no-record``: do not remember it.
    ``--dry-run``: only show the plan: what differs, what would be installed, how large it is.
    ``--restart``: where an older version is loaded, restart the kernel at once and run again
    what was under way (JupyterLab and Notebook 7; without it a button offers the same).
    ``--keep-going``: do not stop the cell although an older version is loaded.
    ``--no-lock``: keep no lock in this notebook from now on.
    """

    name = "pin"
    completes = "package"
    own_flags = ("restart", "keep_going", "no_lock")
    dry_run_commands = ("", "freeze", "undo")

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def run(self, call: Call) -> Any:
        """Pin what the line and the body ask for, or run the command of the line."""
        words = [*call.words, *body_words(call.body or "")]
        step = self.parse(words)
        if isinstance(step, PinStep):
            notes = () if self.session.is_setup_running else self._ask_about_names(step, call)
            if "no_record" in call.flags:
                step = replace(step, modes=step.modes | {"no_record"})
            outcome = self.apply_step(step, call)
            if "quiet" not in call.flags:
                say(*notes)
            return outcome
        if call.body is not None:
            raise usage_error("%%pin: no requirement in the body.", "Write one a line.")
        command, arguments = parser().parse_words(words)
        commands: Dict[str, Callable[[Call], Any]] = {
            "": self.bare,
            "freeze": lambda call: self._freeze(call, arguments),
            "undo": self._undo,
            "environments": self._list_environments,
            "environments remove": lambda call: self._remove_environment(arguments.name),
            "lock": lambda call: self._lock(call, arguments),
        }
        return commands[command](call)

    def apply_step(self, step: Step, call: Call) -> Optional[Outcome]:
        """See `Magic`; a person is asked before anything is built.

        In a setup cell nobody is asked: what may ask comes before pins there, and its lines were
        accepted when they were typed. Nor is it refused where nobody is: the run would be lost.
        """
        if not isinstance(step, PinStep):
            return super().apply_step(step, call)
        if self.session.is_setup_running:
            return super().apply_step(CellStep(**vars(step)), call)
        if not step.build and self.host.may_ask:
            try:
                only = replace(step, modes=step.modes | {"wheels_only"})
                return super().apply_step(only, call)
            except InstallFailed as error:
                if error.code != "no-wheel":
                    raise
                if self.host.person:  # to find that out may take seconds
                    if not confirm(self.host, f"{error.message} Build it?"):
                        raise
                    step = replace(step, build=True)
        return super().apply_step(step, call)

    def _ask_about_names(self, step: PinStep, call: Call) -> Tuple[str, ...]:
        """Ask a person about a name that may be a slip, before a stranger's package is installed.

        Where nobody is asked, what may be a command is refused; names near others are installed,
        since there are such packages, and the lines returned say so.
        """
        from .environment import find
        from .slips import find_near, is_used

        notes: List[str] = []
        word, is_dry = (*call.words, "")[0], "dry_run" in call.flags
        may_be_command = word in step.plain_names and parser().find_command(word)
        if may_be_command and not is_used(word) and find(word) is None:
            error = parser().unknown_command(word, f" (a package of that name: %pin -- {word})")
            question = f"{word} is no command of %pin. Install the package {word}?"
            if is_dry or not confirm(self.host, question):
                raise error
        for name in step.plain_names:
            near = find_near(name)
            if is_dry or not near or find(name) is not None:
                continue
            if not self.host.person:  # to find that out may take seconds
                notes.append(f"{name} is not {near}. If you meant that one: %pin undo")
            elif not confirm(self.host, f"{name} is not {near}. Install the package {name}?"):
                raise usage_error(f"{name} was not installed.", code="declined", slip=(name, near))
        return tuple(notes)

    def bare(self, call: Call) -> Any:
        """Show each pin: wanted, installed, loaded in this kernel, and whether it holds."""
        pins = self.session.recorded_parts("pin")
        if not pins:
            say("Nothing is pinned in this notebook. For instance: %pin numpy==2.1.3")
            return pins
        head = ("state", "wanted", "installed", "loaded in this kernel", "why")
        show(Report((), tuple(self._rows(pins)), head=head))
        return pins

    def _rows(self, pins: List[PinStep]) -> List[Row]:
        from .environment import Installed, canonical_name
        from .loaded import STALE, loaded_versions

        installed = Installed()
        versions, loaded = installed.versions(), loaded_versions(installed)
        rows: List[Row] = []
        for pin in pins:
            state, line, reason = row(" ".join(pin.arguments()), judge(pin, self.host))
            name = canonical_name(requirement(pin.requirements[0]).name) if pin.requirements else ""
            version = versions.get(name, "")
            loads = STALE[name].old if name in STALE else version if name in loaded else ""
            rows.append((state, line, version, loads, "" if state == "ok" else reason))
        return rows

    def _freeze(self, call: Call, arguments: Namespace) -> Any:
        from .freeze import freeze

        names, local = freeze(arguments.all)
        if local:
            say(f"Left out, installed from a folder of this machine: {', '.join(local)}")
        if not names:
            raise usage_error("%pin freeze: nothing is imported yet.", "Or: %pin freeze --all")
        return self.apply_step(PinStep(names), call)

    def _undo(self, call: Call) -> Any:
        from .magic_undo import undo_last

        changes, error = undo_last(self.session, call)
        if error is not None:
            self.stop(error, call)
        return changes

    def _lock(self, call: Call, arguments: Namespace) -> Any:
        from .magic_lock import lock

        return lock(self, call, arguments)

    def _list_environments(self, call: Call) -> Any:
        from .environments.store import find_all

        environments = find_all()
        if not environments:
            say("There is no other Python here. For instance: %pin torch==1.5 --python 3.8")
            return environments
        head = ("Python", "size", "last used", "name", "notebook")
        rows: List[Tuple[str, ...]] = []
        for each in environments:
            used = time.strftime("%Y-%m-%d", time.localtime(each.used))
            rows.append((each.python, f"{each.size / 1e6:.0f} MB", used, each.name, each.notebook))
        show(Report((), tuple(rows), ("Delete one: %pin environments remove NAME",), head))
        return environments

    def _remove_environment(self, name: str) -> None:
        from .environments.store import remove, root

        if root() / name in (Path(sys.prefix), *Path(sys.prefix).parents):
            raise ColabMagicsError(
                f"{name} is running this kernel.", "Choose another kernel first.", code="in-use"
            )
        if not remove(name):
            raise ColabMagicsError(
                f"There is no environment {name}.", "See: %pin environments", code="no-environment"
            )
        say(f"{name} removed")

    def report(self, outcome: Outcome, call: Call) -> Report:
        """See `Magic`; add what to do about a password that was typed."""
        report = super().report(outcome, call)
        if outcome.step is None and carries_secret(" ".join([*call.words, call.body or ""])):
            return Report((*report.lines, _TYPED_IN))
        return report

    def stop(self, error: Exception, call: Call) -> None:
        """See `Magic`; ``--keep-going`` goes on although a restart is needed."""
        if isinstance(error, RestartRequired):
            error.now = "restart" in call.flags or isinstance(error, OtherPython)
            if "keep_going" in call.flags:
                return say(f"{error.message} {error.hint}")
        raise error

    def complete(self, line: str, symbol: str) -> List[str]:
        """See `Magic`; add the common flags, and the installed packages."""
        words = super().complete(line, symbol)
        if symbol.startswith("-"):
            return [*words, *(flag for flag in FLAGS if flag.startswith(symbol))]
        if not symbol:
            return words
        from .environment import versions

        pins = (f"{name}=={version}" for name, version in sorted(versions().items()))
        return [*words, *(pin for pin in pins if pin.startswith(symbol))]


_TYPED_IN = (
    "Not recorded: the URL contains a password. Remove it from this cell, clear the history "
    "(%history -g), and use a credential helper."
)
