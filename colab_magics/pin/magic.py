"""``%pin``."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from ..core.arguments import FLAGS, Parser
from ..core.display import Report
from ..core.errors import ColabMagicsError, OtherPython, RestartRequired, usage_error
from ..core.steps import Outcome, parse
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..setup.magic_status import Row, judge, row
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
    own_flags = ("restart", "keep_going", "no_lock")

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def run(self, call: Call) -> Any:
        """Pin what the line and the body ask for, or run the command of the line."""
        words = [*call.words, *body_words(call.body or "")]
        step = parse(self.name, words)
        if isinstance(step, PinStep):
            if "no_record" in call.flags:
                step = replace(step, modes=step.modes | {"no_record"})
            return self.apply_step(step, call)
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

    def bare(self, call: Call) -> Any:
        """Show each pin: wanted, installed, loaded in this kernel, and whether it holds."""
        pins = self.session.recorded_parts("pin")
        if not pins:
            say("Nothing is pinned in this notebook. For instance: %pin numpy==2.1.3")
            return pins
        head = ("", "wanted", "installed", "loaded in this kernel", "")
        show(Report((), (head, *self._rows(pins))))
        return pins

    def _rows(self, pins: List[PinStep]) -> List[Row]:
        from .environment import Installed, canonical_name
        from .loaded import STALE, owned

        installed = Installed()
        versions, loaded = installed.versions(), owned(installed)
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
            say("There are none. For instance: %pin torch==1.5 --python 3.8")
            return environments
        rows: List[Tuple[str, ...]] = [("Python", "size", "last used", "name", "notebook")]
        for each in environments:
            used = time.strftime("%Y-%m-%d", time.localtime(each.used))
            rows.append((each.python, f"{each.size / 1e6:.0f} MB", used, each.name, each.notebook))
        show(Report((), tuple(rows), ("Delete one: %pin environments remove NAME",)))
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
