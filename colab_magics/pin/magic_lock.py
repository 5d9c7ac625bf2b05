"""``%pin lock``: make the notebook's lock, compare this machine with it, or renew what it holds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from ..core.arguments import Parser
from ..core.errors import ColabMagicsError, LockDiffers, NotebookError, usage_error
from ..core.host import Host
from ..extension.magic import Call
from ..extension.output import say
from .hooks import LockKeeper


def lock(magic: Any, call: Call) -> Any:
    """Make the lock of what is installed; ``--check`` and ``--upgrade`` see the help of %pin."""
    parser = Parser("%pin lock", usage="%pin lock [--check|--upgrade]")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("-U", "--upgrade", action="store_true")
    asked = parser.parse_args(list(call.words[1:]))
    if asked.check and asked.upgrade:
        raise usage_error("%pin lock: --check or --upgrade, not both.", "Take one of them out.")
    locks = magic.session.hooks.of(LockKeeper)
    if asked.check:
        return _check(locks, magic.host)
    pins = locks.pins()
    if not pins:
        raise usage_error("%pin lock: no pin is recorded.", "For instance: %pin numpy==2.1.3")
    writer = magic.session.writer()
    if writer is None or not writer.can_keep:
        raise NotebookError(
            "The lock cannot be kept from here: it stands in the notebook's metadata.",
            "Open it in JupyterLab or Notebook 7, or: colab-magics run NOTEBOOK",
        )
    if asked.upgrade:
        for step in pins:
            magic.perform(replace(step, how=frozenset({"upgrade_all"})), call)
    old = None
    with suppress(ColabMagicsError):  # what cannot be read gives way
        old = locks.read()
    made = locks.make(pins, writer, old)
    if made is None:
        raise usage_error("A line asks for another Python.", "Run the setup cell first.")
    if made is old:
        say("The lock is of what is installed already; nothing to do")
    return made


def _check(locks: Any, host: Host) -> Any:
    """Compare; `LockDiffers` where something is not as the lock says."""
    from .environment import versions
    from .lock.make import line_of

    found = locks.read()
    if found is None:
        raise LockDiffers("There is no lock in this notebook.", "Make one: %pin lock")
    reasons = [found.unfit()]
    lines = {line_of(step, host) for step in locks.pins()} ^ {*found.lines}
    reasons += [f"{line} is not what it was made for" for line in sorted(lines)]
    here = versions()
    reasons += [
        f"{name} {here.get(name, 'is missing')}, locked {version}"
        for name, version in found.versions.items()
        if here.get(name) != version
    ]
    wrong = [reason for reason in reasons if reason]
    if wrong:
        more = f" and {len(wrong) - 3} more" if wrong[3:] else ""
        raise LockDiffers(
            f"The lock does not hold: {'; '.join(wrong[:3])}{more}.",
            "Run the setup cell; or lock what is here: %pin lock",
            "\n".join(wrong[3:]),
        )
    count = len(found.packages)
    many = f"{count} packages" if count != 1 else "1 package"
    say(f"The lock holds: {many}, made {found.about['made']}")
    return found
