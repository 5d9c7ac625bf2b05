"""What an installer is, which there are, and whether one works on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Protocol, Sequence, Tuple

from ..core.errors import NotStarted
from ..core.process import SilenceError, run
from .pip_config import PipSettings
from .plan import Plan

#: In the order to try: adding one is one file and one line here.
INSTALLERS = ("colab_magics.pin.uv:Uv", "colab_magics.pin.pip:Pip")

#: What runs the kernel itself: changing it breaks the session (colabtools #2837, #673).
KERNEL = (
    "ipython",
    "ipykernel",
    "jupyter-client",
    "prompt-toolkit",
    "pyzmq",
    "tornado",
    "traitlets",
)


class Installer(Protocol):
    """A program that installs requirements into the interpreter of this kernel."""

    name: str

    def available(self, settings: PipSettings) -> Optional[str]:
        """Return None, or why it cannot be used here."""

    def version_command(self) -> List[str]:
        """Return a command that each one that works does at once, and that changes nothing."""

    def install_command(
        self, requirements: Path, constraints: Path, reinstall: Sequence[str]
    ) -> List[str]:
        """Return the command that installs what the files say; ``--no-deps`` may be put after it.

        The names of ``reinstall`` are installed even where they are there.
        """

    def upgrade_options(self, names: Sequence[str]) -> List[str]:
        """Return the words for the newest version of these, and only these; of none: of all."""

    def uninstall_command(self, names: Sequence[str]) -> List[str]:
        """Return the command that uninstalls distributions."""

    def environment(self, settings: PipSettings) -> Dict[str, str]:
        """Return the variables that it runs with; secrets travel here, not in arguments."""

    def option_lines(self, settings: PipSettings) -> List[str]:
        """Return option lines for the head of the requirements file."""
        return []

    def is_writing(self, lines: Sequence[str]) -> bool:
        """Return whether it is putting files in place, so that it must not be cut."""

    def dry_run_options(self, report: Path) -> Optional[List[str]]:
        """Return the words for only printing or reporting the plan; None: it cannot."""

    def read_plan(self, lines: Sequence[str], report: str = "") -> Plan:
        """Return the plan in what it has printed and reported so far."""

    def resolve_command(self, requirements: Path, output: Path) -> List[str]:
        """Return the command that writes all that the file needs, whatever is installed."""

    def read_resolved(self, text: str) -> List[str]:
        """Return what that has written, as ``name==version``; not what comes from a URL."""

    def pylock_command(
        self, requirements: Path, output: Path, words: Sequence[str] = ()
    ) -> Optional[List[str]]:
        """Return the command that writes where these exact requirements are, and their hashes, as a
        ``pylock.toml`` (PEP 751); None: it cannot, and takes no hashes from constraints.
        """
        return None

    def is_debug(self, line: str) -> bool:
        """Return whether a line is for `is_writing` and `read_plan` alone, and for no person."""
        return False

    def describe(self, line: str) -> str:
        """Return what a line says that it does, in words for people; empty: nothing new."""
        return ""

    def read_size(self, line: str) -> Optional[Tuple[str, int]]:
        """Return the name and the bytes of a download that a line begins."""
        return None

    def read_done(self, line: str) -> Optional[Tuple[int, int]]:
        """Return how many bytes of how many have come of the download that goes on."""
        return None

    def changed_names(self, line: str, previous: str) -> List[str]:
        """Return the names in a line that says what is about to be changed here.

        ``previous`` is the last line before it that was for people.
        """

    def cached_records(self, names: Iterable[str]) -> List[Path]:
        """Return the ``RECORD`` of each wheel that it may have been putting in place of these.

        None, where it takes back itself what fails.
        """
        return []


def find_fault(installer: Installer, settings: PipSettings) -> str:
    """Return why an installer does not work on this machine; empty where it says its version."""
    command, environment = installer.version_command(), installer.environment(settings)
    try:
        done = run(command, environment, silence=settings.patience(os.environ))
    except SilenceError:  # what it waits for is told when it is to install
        return ""
    except NotStarted as error:  # not there, not executable, or made for another machine
        return error.strerror or type(error).__name__
    if done.status < 0:
        return f"it was ended by signal {-done.status}"
    if not done.lines:
        return f"it ended with {done.status}, without a word"
    return f"it ended with {done.status}" if done.status else ""
