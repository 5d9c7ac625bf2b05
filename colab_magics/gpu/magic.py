"""``%gpu``."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict, replace
from typing import Any, Dict, Optional

from ..core.arguments import Parser
from ..core.display import Mark, Report
from ..core.errors import NotebookError, usage_error
from ..core.menus import menu
from ..core.steps import Outcome, Step
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..extension.session import Session
from ..notebook.reading import read_stored
from .devices import advise, take_snapshot
from .format import HEAD, draw_rows, make_details
from .frameworks import describe_frameworks
from .magic_measure import Measuring
from .magic_watch import Watching
from .memory import Freed, free_memory
from .step import GpuLine, GpuStep, describe_change, parser

#: What Colab's menu has beside GPUs, in their spelling.
_NO_GPU = r"GPU|TPU.*|V\d+E\d*|V28"


class GpuMagic(Magic):
    """Show the GPUs that this machine has, require one, or measure what a cell costs.

    Where there is a GPU, ``%gpu`` is remembered with its name; on later runs the setup
    cell says what changed, and goes on. ``%gpu require`` stops instead.

    A card that ``CUDA_VISIBLE_DEVICES`` hides from programs is marked, and meets no requirement.

    Below the cards, a line for each installed framework says whether its build can use them. It is
    read from the framework's files; nothing is imported.

    ``%%gpu`` above a cell runs it as ever and then shows what it cost: seconds, peak memory, load
    and energy, each with its source, sampled ten times a second by a process beside the kernel.
    Where PyTorch is in use, its peak counters start anew with the cell. ``%%gpu -o NAME`` keeps the
    measurement in that variable, or in ``gpu_cost``.

    Examples
    --------
    ::

        %gpu
        %gpu -v                           # power, clocks, what slows it, who is using it
        %gpu --json
        %gpu require                      # any GPU
        %gpu require T4                   # by name
        %gpu require A100 --memory 40GB   # and with at least this much memory
        %gpu require --count 2 --compute 8.0 --cuda 12.4
        %gpu require --framework torch    # and the torch that is installed runs on it
        %gpu request T4                   # or none, to take it back
        %gpu watch                        # follow the GPUs below this cell; %gpu watch stop
        %gpu free                         # collect garbage, empty caches, drop the last error
                                          # (then %tb and %debug have none); name the variables
                                          # that hold most of the rest

        %%gpu
        model.fit(data)
    """

    name = "gpu"
    dry_run_commands = ("", "require", "request")

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._measuring = session.hooks.of(Measuring)
        self._watching = session.hooks.of(Watching)

    @classmethod
    def parser(cls) -> Parser:
        """Return the tree that the step is read by."""
        return parser()

    def run(self, call: Call) -> Any:
        """Run the command; without one, show the GPUs."""
        if call.body is not None:
            return self._run_cell(call) if call.body.strip() else self._measuring.begin(call)
        command, arguments = parser().parse_words(call.words)
        if command == "watch":
            return self._watching.stop() if arguments.action else self._watching.start()
        if command == "request":
            return self._request(arguments, call)
        if command == "free":
            return self._free(call)
        if command == "require" or not (arguments.verbose or arguments.json):
            return super().run(call)
        if arguments.json:
            print(json.dumps(as_json(), indent=1))
            return None
        snapshot = take_snapshot(detailed=True)
        outcome = self.apply_step(GpuStep(snapshot), call)
        if snapshot.gpus and "quiet" not in call.flags:
            show(make_details(snapshot.detailed))
        return outcome

    def apply_step(self, step: Step, call: Call) -> Optional[Outcome]:
        """Apply a step, as every magic does; the driver is started once for all of it."""
        if isinstance(step, GpuLine) and step.snapshot is None:
            step = replace(step, snapshot=take_snapshot())
        return super().apply_step(step, call)

    def _run_cell(self, call: Call) -> None:
        """Run a cell that is passed as a text, as in a script that nbconvert made."""
        flags = [text for text, name in (("-q", "quiet"), ("-o", "output")) if name in call.flags]
        line = " ".join((f"%%{self.name}", *flags, *call.words))
        self.host.shell.run_cell(f"{line}\n{call.body}").raise_error()

    def _request(self, arguments: argparse.Namespace, call: Call) -> None:
        name = arguments.gpu.upper()
        if not re.fullmatch(r"[A-Z0-9]{1,16}", name) or re.fullmatch(_NO_GPU, name):
            raise usage_error(
                f"%gpu request: {arguments.gpu} is no GPU.",
                "Such as: %gpu request T4, or none",
                code="no-gpu",
            )
        text = request_gpu(self.session, name if name != "NONE" else None, "dry_run" in call.flags)
        if "quiet" not in call.flags:
            say(text)

    def _free(self, call: Call) -> Freed:
        shell, snapshot = self.host.shell, take_snapshot()
        shell.InteractiveTB.tb = None  # where IPython keeps the last traceback
        error = getattr(shell.last_execution_result, "error_in_exec", None)
        freed = free_memory(snapshot.gpus, shell.user_ns, error)
        if "quiet" not in call.flags:
            say(*(freed.lines() or [f"No GPU found. {advise(self.host, snapshot)}"]))
        return freed

    def report(self, outcome: Outcome, call: Call) -> Report:
        """Show a line for each GPU, and what has changed since the notebook was made."""
        step = outcome.step
        gpus = step.read().gpus if isinstance(step, GpuLine) else ()
        change = describe_change(f"# {call.comment.lstrip('# ')}", gpus) if call.comment else ""
        first, *lines = outcome.message.split("\n")
        news = [Mark.of(change, "caution")] if change else []
        if isinstance(step, GpuStep):
            return Report((), draw_rows(gpus), (*lines, *news), HEAD)
        return Report((first, *lines, *news, *(describe_frameworks(gpus) if change else ())))


def as_json() -> Dict[str, Any]:
    """Return all that is known of the GPUs: bytes, watts, joules, MHz; null where it is unknown."""
    snapshot = take_snapshot(detailed=True)
    return {
        "schema": 1,
        "gpus": [asdict(gpu) for gpu in snapshot.gpus],
        "frameworks": describe_frameworks(snapshot.gpus),
        "reasons": list(snapshot.reasons),
    }


def request_gpu(session: Session, name: Optional[str], dry_run: bool) -> str:
    """Write a GPU's name, or none, where Colab itself keeps what its menu was set to.

    Returns the outcome as a line.
    """
    site = session.site
    if site.kind == "executor":
        return "Not requested: an executor runs the notebook, and nothing is written meanwhile"
    writer = session.writer()
    if site.kind == "colab" or writer is None or not writer.can_set_metadata:
        raise NotebookError(
            "The metadata of this notebook cannot be written from here.",
            f"In Colab: {menu(session.host, 'gpu')}.",
            code="no-metadata",
        )
    request = f"Colab is asked for {f'a {name}' if name else 'no'} GPU"
    if read_stored(session.host, site, "gpu") == name:
        return f"{request} already"
    if dry_run:
        return f"Nothing was changed. Then {request}"
    late = ", not saved yet" if writer.set_metadata("gpu", name) == "written" else ""
    if name is None:
        return f"{request} from now on{late}"
    return (
        f"{request} from now on{late}. It is a request: Colab may assign another GPU, or none. "
        "Take it back: %gpu request none"
    )
