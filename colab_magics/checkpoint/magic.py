"""``%checkpoint``."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..core.arguments import Parser, complete_folder
from ..core.display import Bar, Mark, Report, amount, files
from ..core.errors import ColabMagicsError, usage_error
from ..core.steps import Outcome, Progress
from ..core.transfer import Transfer
from ..drive.step import current, find_mounted
from ..extension.magic import Call, Magic
from ..extension.output import Status, confirm, say, show
from ..record.cell import render_step
from ..setup.magic_status import judge
from .manifest import DamagedManifest, Manifest
from .namespace import user_names
from .restore import (
    Restored,
    Restorer,
    Settings,
    describe_lost,
    find_checkpoint,
    refuse_other_notebook,
)
from .snapshot import keeper_of
from .spool import Written, find_writing
from .step import CheckpointStep, parser
from .store import Store


class CheckpointMagic(Magic):
    """Keep variables and files on the drive, and have them back on the next machine.

    The line is recorded in the setup cell. In a kernel that has nothing of it yet it restores the
    newest checkpoint; then it makes one every 15 minutes, between cells, and when the kernel ends.
    A cell waits for that a second at most. What the kernel or a folder has already is never
    overwritten, unless ``restore`` names it or has ``--overwrite``.

    Without paths and options it keeps all variables, and which cells were done. With paths it keeps
    those files and folders; ``--variables`` adds the variables. What cannot be kept, such as an
    open file or a generator, is named. Variables are restored where Python and the packages are the
    same; else the line that installs them is shown.

    Checkpoints are in ``drive:colab_magics/NOTEBOOK``, by the notebook's name. Restoring variables
    runs what is in them, so that a folder which others may write is refused without ``--trust``.
    A bare ``%checkpoint`` begins with the defaults; later it shows what is kept.

    Examples
    --------
    ::

        %checkpoint                              # all variables, every 15 minutes
        %checkpoint results --variables          # a folder too
        %checkpoint --only model,history --every 5m --keep 3
        %checkpoint --except cache --max 2GB
        %checkpoint data --to drive:runs/first   # another folder
        %checkpoint now                          # one at once; waits until it is written
        %checkpoint list
        %checkpoint restore 2 --only model       # from the second in the list
        %checkpoint verify
        %checkpoint forget 3                     # without a number: all of this notebook
    """

    name = "checkpoint"
    dry_run_commands = ("",)

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def run(self, call: Call) -> Any:
        """Run the command; without one, keep what the line says."""
        self.refuse_body(call)
        command, arguments = self.parser().parse_words(call.words)
        if command:
            return getattr(self, f"_{command}")(arguments, call)
        is_typed_bare = not call.words and not self.session.is_setup_running
        if is_typed_bare and self.session.recorded_parts(self.name):
            return self.bare(call)
        return super().run(call)

    def report(self, outcome: Outcome, call: Call) -> Report:
        """Add that a stand-in goes with the machine."""
        report = super().report(outcome, call)
        step = outcome.step
        if isinstance(step, CheckpointStep) and step.place(self.host).startswith("drive:"):
            mounted = find_mounted(self.host, current(self.host))
            if mounted is not None and mounted[0].name == "folder":
                return replace(report, after=(*report.after, _STAND_IN))
        return report

    def bare(self, call: Call) -> Any:
        """Show what is kept, and the newest checkpoint."""
        (step,) = self.session.recorded_parts(self.name)[-1:]
        verdict, newest = judge(step, self.host), ""
        if verdict.state == "ok":
            rows = list_checkpoints(Store(step.settings(self.host).folder), 1)
            newest = "".join(f"; the newest, of {_when(row)}: {row['holds']}" for row in rows)
        say(f"{render_step(step)}: {verdict.message}{newest}. All: %checkpoint list")
        return step

    def complete(self, line: str, symbol: str) -> List[str]:
        """Offer commands, options, folders, and variables behind the options that take them."""
        before = line[: len(line) - len(symbol)].split()[-1:]
        if before in (["--only"], ["--except"]):
            names = user_names(self.host.shell.user_ns, self.host.shell.user_ns_hidden)
            return [name for name in names if name.startswith(symbol)]
        return [*super().complete(line, symbol), *complete_folder(symbol, self.host)]

    # ------------------------------------------------------------------ commands
    def _now(self, arguments: argparse.Namespace, call: Call) -> None:
        """Make one, and wait until it is written."""
        keeper, quiet = keeper_of(self.host), "quiet" in call.flags
        if keeper.settings is None:
            raise usage_error(
                "%checkpoint now: nothing is kept in this kernel yet.",
                "Begin with: %checkpoint",
                code="not-begun",
            )
        with Status(self.host, quiet) as status:
            name = keeper.save_and_wait(status)
            manifest = Store(keeper.settings.folder).load(name)
        lines = [f"Saved to {keeper.settings.place}: {describe(manifest)}"]
        if manifest.variables is not None and manifest.variables.lost:
            lines.append(f"Not kept: {describe_lost(manifest.variables.lost)}")
        status.done(None if quiet else Report(tuple(lines)))

    def _list(self, arguments: argparse.Namespace, call: Call) -> List[Dict[str, Any]]:
        """Show each checkpoint; what is being written is on top."""
        settings = self._settings(arguments.to)
        store = Store(settings.folder)
        rows = list_checkpoints(store)
        writing = [*find_writing(settings.folder)]
        if not rows and not writing:
            say("There are no checkpoints of this notebook yet. Make one: %checkpoint now")
        elif "quiet" not in call.flags:
            show(make_report(rows, writing))
        return rows

    def _restore(self, arguments: argparse.Namespace, call: Call) -> Optional[Restored]:
        """Restore what is missing, and what is named."""
        settings, quiet = self._settings(arguments.to), "quiet" in call.flags
        settings = replace(settings, trust=settings.trust or arguments.trust)
        choice = arguments.only, arguments.overwrite, arguments.overwrite
        with Status(self.host, quiet) as status:
            store = Store(settings.folder)
            name = find_checkpoint(store, arguments.which or "1")
            restorer = Restorer(self.host, settings, status, *choice)
            restored = restorer.restore(name, store.load(name))
        lines = filter(None, (restored.message, restored.hint))
        status.done(None if quiet else Report(tuple(lines)))
        if restored.error is not None:
            raise restored.error
        keeper_of(self.host).restored = restored
        return restored

    def _resume(self, arguments: argparse.Namespace, call: Call) -> None:
        """Show finished cells from now on, until Run All is past them."""
        from .magic_resume import Resume

        self.session.hooks.of(Resume).begin()

    def _verify(self, arguments: argparse.Namespace, call: Call) -> None:
        """Read one, or all."""
        settings, quiet = self._settings(arguments.to), "quiet" in call.flags
        store = Store(settings.folder)
        names = [] if arguments.which else store.names()
        names = names or [find_checkpoint(store, arguments.which or "1")]
        problems: List[str] = []
        with Status(self.host, quiet) as status:
            for name in names:
                problems += [f"{name}: {text}" for text in _verify(store, name, status)]
        count = _count(len(names), "checkpoint")
        status.done(
            None if quiet or problems else Report((f"{count} verified: each byte is there",))
        )
        if problems:
            raise ColabMagicsError(
                f"{problems[0]}",
                "See which are whole: %checkpoint list",
                "\n".join(problems[1:]),
                code="damaged-checkpoint",
            )

    def _forget(self, arguments: argparse.Namespace, call: Call) -> None:
        """Delete one, or all; of all, none is kept any more in this kernel."""
        settings = self._settings(arguments.to)
        store = Store(settings.folder)
        name = find_checkpoint(store, arguments.which) if arguments.which else None
        for manifest in store.known()[:1]:
            refuse_other_notebook(self.host, settings, manifest)
        count = 1 if name else len(store.names())
        texts = _count(count, "checkpoint")
        if not arguments.yes and not self.host.person:
            raise usage_error(
                f"Delete {texts}? Nobody is here to answer.", "Add --yes.", code="no-yes"
            )
        if not (arguments.yes or confirm(self.host, f"Delete {texts}?")):
            say("Nothing was deleted")
            return
        keeper, more = keeper_of(self.host), ""
        if name is None and keeper.settings == settings:
            keeper.end()
            more = "; none is made any more in this kernel. In later ones: %setup forget checkpoint"
        store.forget(name)
        say(f"{texts} deleted{more}")

    def _settings(self, folder: str) -> Settings:
        """Return those of this kernel, else of the recorded line, for another folder if named."""
        settings = keeper_of(self.host).settings
        if settings is not None and not folder:
            return settings
        parts = self.session.recorded_parts(self.name)
        step = parts[-1] if parts else CheckpointStep()
        if folder:
            step = replace(step, to=self.host.spell_typed(folder))
        return step.settings(self.host)


_STAND_IN = "The drive is a folder on this machine: its checkpoints go with the machine."


def _verify(store: Store, name: str, progress: Progress) -> List[str]:
    """Return the problems of one checkpoint."""
    transfer, done = Transfer(), 0

    def advance(size: int) -> None:
        nonlocal done
        done += size
        progress(f"Reading {name}  {transfer.describe(done, manifest.size, time.monotonic())}")

    try:
        manifest = store.load(name)
    except DamagedManifest as error:
        return [error.message]
    return store.verify(manifest, advance)


# ---------------------------------------------------------------------- what is shown
def list_checkpoints(store: Store, count: Optional[int] = None) -> List[Dict[str, Any]]:
    """Return the newest checkpoints, or all, newest first, from their manifests alone.

    ``state``: ``whole``, ``incomplete`` (a pack is missing or cut), ``damaged`` (its manifest is).
    """
    rows: List[Dict[str, Any]] = []
    for name in store.names()[:count]:
        row: Dict[str, Any] = {"name": name, "time": None, "size": None, "holds": ""}
        try:
            manifest = store.load(name)
        except DamagedManifest:
            rows.append({**row, "state": "damaged"})
            continue
        except ColabMagicsError as error:
            if error.code != "not-found":  # a writer has removed it meanwhile
                raise
            continue
        state = "whole" if store.is_whole(manifest) else "incomplete"
        row.update(time=manifest.time, size=manifest.size, holds=describe(manifest))
        rows.append({**row, "state": state})
    return rows


def make_report(rows: Sequence[Mapping[str, Any]], writing: Sequence[Written]) -> Report:
    """Return the list as a table; a bar for each that is being written."""
    lines: List[Tuple[str, ...]] = []
    for written in writing:
        share = written.done / written.total if written.total else 0.0
        bar = Bar.of(f"being written, {share:.0%}", share, "active")
        lines.append(("", "now", amount(written.total), bar, ""))
    for at, row in enumerate(rows):
        size = "n/a" if row["size"] is None else amount(row["size"])
        state = Mark.of(row["state"], "good" if row["state"] == "whole" else "bad")
        lines.append((str(at + 1), _when(row), size, state, row["holds"]))
    return Report((), tuple(lines), head=("", "time", "size", "state", "what is in it"))


def _when(row: Mapping[str, Any]) -> str:
    if row["time"] is None:
        return "n/a"
    return datetime.fromtimestamp(row["time"]).strftime("%Y-%m-%d %H:%M:%S")


def describe(manifest: Manifest) -> str:
    """Return what is in a checkpoint: ``3 variables, 2 files, 5 cells``."""
    parts = []
    if manifest.variables is not None:
        names = [x.name for x in manifest.variables.segments if x.kind == "variable"]
        parts.append(_count(len(names), "variable"))
    count = sum(file.kind == "file" for root in manifest.roots for file in root.files)
    parts += [files(count)] if manifest.roots else []
    missed = sum(len(root.missed) for root in manifest.roots)
    parts += [f"{_count(missed, 'path')} missed"] if missed else []
    parts += [_count(len(manifest.cells), "cell")] if manifest.cells else []
    if manifest.variables is not None and manifest.variables.lost:
        parts.append(f"without {', '.join(x.name for x in manifest.variables.lost)}")
    return ", ".join(parts) or "nothing"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
