"""``%gpu``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

from ..core.display import Bar, Report
from ..core.errors import NotebookError, usage_error
from ..core.steps import Outcome, Step
from ..extension.magic import Call, Magic
from ..extension.output import say, show
from ..notebook.reading import read_kept
from .frameworks import verdicts
from .magic_measure import Measuring
from .magic_watch import Watching
from .memory import Freed, free
from .model import Gpu, advice, cards, columns, detail_rows, find
from .step import GpuLine, GpuStep, changed

if TYPE_CHECKING:
    from ..extension.recorder import Session

#: What Colab's menu has beside GPUs, in their spelling.
_NO_GPU = r"GPU|TPU.*|V\d+E\d*|V28"
_ONLY_A_REQUEST = (
    ". It is a request: Colab may give another one, or none. Take it back: %gpu request none"
)


class GpuMagic(Magic):
    """Show the GPUs that this machine has, require one, or measure what a cell costs.

    Where there is a GPU, ``%gpu`` is remembered with its name; on later runs the setup
    cell says what changed, and goes on. ``%gpu require`` stops instead.

    A card that ``CUDA_VISIBLE_DEVICES`` hides from programs says so, and meets no requirement.

    Below the cards stands, for each installed framework, whether its build can use them: read
    from its files, so that nothing is imported.

    ``%%gpu`` above a cell runs it as ever and then tells what it cost: seconds, peak memory, load
    and energy, each with its source, sampled ten times a second by a process beside the kernel.
    Where PyTorch is in use, its peak counters start anew with the cell.

    ``%gpu request T4`` writes into the notebook that Colab is to be asked for one when it opens.

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
        %gpu free                         # collect garbage, caches and what the last error holds
                                          # (then %tb and %debug have none); name the variables
                                          # that hold most of what is left

        %%gpu
        model.fit(data)

    Options
    -------
    ``-q``: say nothing. ``-o``: return the outcome; ``%%gpu -o NAME``: keep the measurement in that
    variable (``gpu_cost`` if none is named). ``--no-record``: do not remember it.
    """

    name = "gpu"
    offers = (
        "require",
        "request",
        "watch",
        "free",
        "-v",
        "--json",
        "--count",
        "--memory",
        "--compute",
        "--cuda",
        "--framework",
    )

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._measuring = session.hooks.of(Measuring)
        self._watching = session.hooks.of(Watching)

    def run(self, call: Call) -> Any:
        """Do what the line says; ``-v`` and ``--json`` show more."""
        if call.body is not None:
            if call.body.strip():
                return self._around(call)
            return self._measuring.begin(call)
        verbs = {"request": self._request, "watch": self._watch, "free": self._free}
        if call.words and call.words[0] in verbs:
            return verbs[call.words[0]](call)
        more = {*call.words} & {"-v", "--verbose", "--json"}
        if not more:
            return super().run(call)
        if {*call.words} != more:
            raise usage_error("%gpu: -v and --json stand alone.", "Write %gpu -v")
        if "--json" in more:
            print(json.dumps(as_json(), indent=1))
            return None
        snapshot = find(detailed=True)
        outcome = self.perform(GpuStep(snapshot), replace(call, words=()))
        if snapshot.details and "quiet" not in call.flags:
            show(Report((), detail_rows(snapshot)))
        return outcome

    def perform(self, step: Step, call: Call) -> Optional[Outcome]:
        """Apply a step, as every magic does; the driver is started once for all that it takes."""
        if isinstance(step, GpuLine) and step.snapshot is None:
            step = replace(step, snapshot=find())
        return super().perform(step, call)

    def _around(self, call: Call) -> None:
        """Run a cell that comes as a text, from a script that nbconvert made for instance."""
        flags = [text for text, name in (("-q", "quiet"), ("-o", "output")) if name in call.flags]
        line = " ".join((f"%%{self.name}", *flags, *call.words))
        self.host.shell.run_cell(f"{line}\n{call.body}").raise_error()

    def _request(self, call: Call) -> None:
        name = call.words[1].upper() if len(call.words) == 2 else ""
        if not re.fullmatch(r"[A-Z0-9]{1,16}", name) or re.fullmatch(_NO_GPU, name):
            raise usage_error("%gpu request: name one GPU.", "Such as: %gpu request T4, or none")
        text = request_gpu(self.session, name if name != "NONE" else None, "dry_run" in call.flags)
        if "quiet" not in call.flags:
            say(text)

    def _watch(self, call: Call) -> None:
        if call.words[1:] not in ((), ("stop",)):
            raise usage_error("%gpu watch takes nothing but stop.", "Write %gpu watch stop")
        if not call.words[1:]:
            self._watching.start()
        elif self._watching.running:
            self._watching.close()
        else:
            say("No GPU is watched, nothing to do")

    def _free(self, call: Call) -> Freed:
        if call.words[1:]:
            raise usage_error("%gpu free takes no words.", "It ends and deletes nothing.")
        shell, snapshot = self.host.shell, find()
        shell.InteractiveTB.tb = None  # where IPython keeps the last traceback
        error = getattr(shell.last_execution_result, "error_in_exec", None)
        freed = free(snapshot.gpus, shell.user_ns, error)
        if "quiet" not in call.flags:
            say(*(freed.lines() or [f"No GPU assigned. {advice(self.host, snapshot)}"]))
        return freed

    def report(self, outcome: Outcome, call: Call) -> Report:
        """Show a line for each GPU, and what has changed since the notebook was made."""
        step = outcome.step
        gpus = step.read().gpus if isinstance(step, GpuLine) else ()
        lines = outcome.message.split("\n")
        news = changed(f"# {call.comment.lstrip('# ')}", gpus) if call.comment else ""
        lines += [news] if news else []
        if not isinstance(step, GpuStep):
            return Report((*lines, *(verdicts(cards(gpus)) if news else ())))
        return Cards(tuple(lines), shown=drawn(gpus))


@dataclass(frozen=True)
class Cards(Report):
    """GPUs, each in the line that stands first, and ``shown`` as a table with bars in HTML."""

    shown: Tuple[Tuple[str, ...], ...] = ()

    def html(self) -> str:
        """Draw the table in place of the lines."""
        return Report((), self.shown, self.lines[len(self.shown) :]).html()


def as_json() -> Dict[str, Any]:
    """Return all that is known of the GPUs: bytes, watts, joules, MHz; null where it is unknown."""
    snapshot = find(detailed=True)
    pairs = zip(snapshot.gpus, snapshot.details)
    return {
        "gpus": [{**asdict(gpu), **asdict(details)} for gpu, details in pairs],
        "frameworks": verdicts(cards(snapshot.gpus)),
        "reasons": list(snapshot.reasons),
    }


def drawn(gpus: Sequence[Gpu]) -> Tuple[Tuple[str, ...], ...]:
    """Draw a row for each GPU, with bars for memory and load."""
    rows = []
    for gpu in gpus:
        name, memory, load, *rest = columns(gpu)
        if gpu.total and gpu.free is not None:
            memory = Bar.of(memory, 1 - gpu.free / gpu.total)
        if gpu.load is not None:
            load = Bar.of(load, gpu.load / 100)
        rows.append((name, memory, load, *rest))
    return tuple(rows)


def request_gpu(session: Session, name: Optional[str], dry_run: bool) -> str:
    """Write a GPU's name, or none, where Colab itself keeps what its menu was set to.

    Returns what became of it, as a line.
    """
    site = session.site
    if site.kind == "executor":
        return "Nothing is written while an executor runs the notebook"
    writer = session.writer()
    if site.kind == "colab" or writer is None or not writer.can_keep:
        raise NotebookError(
            "The metadata of this notebook cannot be written from here.",
            "In Colab: Runtime > Change runtime type; it is kept in the notebook there too.",
        )
    request = f"Colab is asked for {f'a {name}' if name else 'no'} GPU"
    if read_kept(session.host, site, "gpu") == name:
        return f"{request} already, nothing to do"
    if dry_run:
        return f"dry run: {request} then"
    late = ", not saved yet" if writer.keep("gpu", name) == "written" else ""
    return f"{request} from now on{late}{_ONLY_A_REQUEST if name else ''}"
