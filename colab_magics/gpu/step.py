"""``%gpu`` and ``%gpu require`` as steps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, FrozenSet, List, Optional, Sequence, Tuple

from ..core.arguments import Choice, Parser
from ..core.effects import Effects
from ..core.errors import GpuUnmet, usage_error
from ..core.host import Host
from ..core.steps import Change, Outcome, Progress, Step, Verdict
from .cuda_visible import NAME
from .devices import advise, take_snapshot
from .format import list_names
from .frameworks import FRAMEWORKS, describe_frameworks, find_problem
from .model import GIB, Gpu, Snapshot

#: A card is sold by a nominal size: a "16 GB" one reports 15 GiB.
_TOLERANCE = 0.93
_UNITS = {"": 10**9, "g": 10**9, "gb": 10**9, "gib": GIB, "m": 10**6, "mb": 10**6, "mib": 2**20}
_MADE_ON = re.compile(r"#\s*made on (.+)")


@dataclass(frozen=True)
class GpuLine(Step):
    """A line on the GPU. It is judged by ``snapshot``; without one the driver is read."""

    word: ClassVar[str] = "gpu"
    rank: ClassVar[int] = 10
    snapshot: Optional[Snapshot] = field(default=None, compare=False, repr=False)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"gpu"})

    def read(self) -> Snapshot:
        """Return the snapshot, or read the GPUs now."""
        return self.snapshot or take_snapshot()

    def note(self, host: Host) -> str:
        """Name the GPU that the notebook was made on, for later runs to compare with."""
        return f"made on {list_names(self.read().gpus)}"

    def effects(self, host: Host) -> Effects:
        """See `Step`: it only looks."""
        return Effects()

    def compare(self, host: Host, comment: str) -> Sequence[Change]:
        """See `Step`: the GPU that the comment names."""
        match = _MADE_ON.match(comment.strip())
        if match is None:
            return ()
        gpus = self.read().gpus
        now = list_names(gpus) if gpus else ""
        return (Change.of("gpu", "GPU", match.group(1).strip(), now),)


@dataclass(frozen=True)
class GpuStep(GpuLine):
    """``%gpu``: show which GPU is here, and whether that has changed; it never raises."""

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        return ()

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        snapshot = self.read()
        gpus = snapshot.gpus
        if not gpus:
            return Verdict("differs", f"No GPU found. {advise(host, snapshot)}")
        lines = (f"{list_names(gpus)} is here", *snapshot.reasons, *describe_frameworks(gpus))
        return Verdict("ok", "\n".join(lines))

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Report the state: nothing can be done from here."""
        return Outcome("unchanged", self.check(host).message)

    def recorded(self, host: Host) -> Optional[Step]:
        """See `Step`: kept only where there is a GPU."""
        return self if self.read().gpus else None


@dataclass(frozen=True)
class GpuRequire(GpuLine):
    """``%gpu require``: a name to match word by word, and the least of each other property.

    ``memory`` as typed; ``compute`` a capability such as ``8.0``, ``cuda`` that of the driver.
    """

    name: Tuple[str, ...] = ()
    memory: str = ""
    count: int = 1
    compute: str = ""
    cuda: str = ""
    framework: str = ""

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        options = (
            ("--count", str(self.count) if self.count != 1 else ""),
            *((f"--{x}", getattr(self, x)) for x in ("memory", "compute", "cuda", "framework")),
        )
        return ("require", *self.name, *(word for pair in options if pair[1] for word in pair))

    def merged_with(self, other: Step) -> Optional[Step]:
        """See `Step`: a plain ``%gpu`` does not take a requirement back."""
        return self if isinstance(other, GpuStep) else super().merged_with(other)

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        gpus = self.read().gpus
        reason = self._find_missing(gpus) or self._find_unusable(gpus)
        if reason:
            return Verdict("differs", reason)
        return Verdict("ok", f"{list_names(self._list_matching(gpus))} is here, as required")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """Raise: what is required cannot be made."""
        snapshot = self.read()
        missing, hint = self._find_missing(snapshot.gpus), ""
        if missing and any(gpu.hidden and self._matches(gpu) for gpu in snapshot.gpus):
            hint = f"Set {NAME} otherwise, and restart the kernel. "
        elif missing:
            hint = f"{advise(host, snapshot)}. "
        edit = " ".join(("%gpu", *self.arguments()))
        raise GpuUnmet(
            f"{missing or self._find_unusable(snapshot.gpus)}.",
            f"{hint}Or edit this line: {edit}",
            code="gpu-missing" if missing else "framework-unusable",
        )

    def _find_missing(self, gpus: Sequence[Gpu]) -> str:
        """Return which card is required and which are here; empty where the requirement is met."""
        if len(self._list_matching(gpus)) >= self.count:
            return ""
        parts = [
            f"{self.count} x" if self.count > 1 else "",
            " ".join(self.name) or ("A GPU" if self.count == 1 else "GPU"),
            f"with {self.memory}" if self.memory else "",
            f"of compute capability {self.compute}" if self.compute else "",
            f"with a driver for CUDA {self.cuda}" if self.cuda else "",
        ]
        return f"{' '.join(filter(None, parts))} is required; here: {_summarize(gpus)}"

    def _find_unusable(self, gpus: Sequence[Gpu]) -> str:
        """Return why the framework cannot use them; empty where it can."""
        problem = find_problem(self.framework, self._list_matching(gpus)) if self.framework else ""
        return f"{self.framework} has to run here; {problem}" if problem else ""

    def _list_matching(self, gpus: Sequence[Gpu]) -> List[Gpu]:
        return [gpu for gpu in gpus if self._matches(gpu) and not gpu.hidden]

    def _matches(self, gpu: Gpu) -> bool:
        words = [word for text in self.name for word in _split_name(text)]
        return (
            {*words} <= {*_split_name(gpu.name)}
            and (not self.memory or (gpu.total or 0) >= _parse_size(self.memory) * _TOLERANCE)
            and (not self.compute or (gpu.capability or (0, 0)) >= _parse_version(self.compute))
            and (not self.cuda or gpu.cuda >= _parse_version(self.cuda))
        )


def _split_name(name: str) -> List[str]:
    return re.split(r"[^a-z0-9]+", name.lower())


def _summarize(gpus: Sequence[Gpu]) -> str:
    """Return each kind of card that is here, with all properties that may be required."""
    texts = []
    for gpu in gpus:
        parts = [
            f"{gpu.total / GIB:.0f} GiB" if gpu.total else "memory n/a",
            "compute {}.{}".format(*gpu.capability) if gpu.capability else "",
            "CUDA up to {}.{}".format(*gpu.cuda) if gpu.cuda[0] else "",
            f"hidden by {NAME}" if gpu.hidden else "",
        ]
        texts.append(f"{gpu.name} ({', '.join(filter(None, parts))})")
    return ", ".join(dict.fromkeys(texts)) or list_names(gpus)


def describe_change(comment: str, gpus: Tuple[Gpu, ...]) -> str:
    """Return ``made on Tesla T4, now NVIDIA L4`` by a comment; empty where nothing changed."""
    match = _MADE_ON.match(comment)
    if not match or match.group(1).strip() == list_names(gpus):
        return ""
    return f"made on {match.group(1).strip()}, now {list_names(gpus)}"


def _parse_size(text: str) -> float:
    """Read ``15GB`` as bytes."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if not match or match.group(2) not in _UNITS:
        raise usage_error(f"%gpu: {text} is no size.", "Write it like 15GB.", code="no-size")
    return float(match.group(1)) * _UNITS[match.group(2)]


def _parse_version(text: str) -> Tuple[int, int]:
    """Read ``8.0`` as (8, 0)."""
    match = re.fullmatch(r"(\d+)(?:\.(\d+))?", text)
    if not match:
        raise usage_error(f"%gpu: {text} is no version.", "Write it like 8.0.", code="no-version")
    return int(match.group(1)), int(match.group(2) or 0)


def parser() -> Parser:
    """Return the arguments of ``%gpu``."""
    tree = Parser("%gpu")
    tree.add_argument(
        "-v", "--verbose", action="store_true", help="power, clocks, processes and more"
    )
    tree.add_argument("--json", action="store_true", help="print all that is known as JSON")
    require = tree.add_command("require", "Stop the notebook where such a GPU is missing.")
    require.add_argument("name", nargs="*", metavar="NAME", help="words of its name, such as T4")
    require.add_argument("--count", type=int, default=1, metavar="N", help="at least so many")
    for option, value, text in (
        ("--memory", "SIZE", "with at least so much memory, such as 15GB"),
        ("--compute", "X.Y", "of at least this compute capability"),
        ("--cuda", "X.Y", "with a driver for at least this CUDA"),
    ):
        require.add_argument(option, default="", metavar=value, help=text)
    framework = Choice("%gpu require", "framework", FRAMEWORKS)
    require.add_argument(
        "--framework",
        type=framework,
        default="",
        metavar="NAME",
        help=f"{', '.join(FRAMEWORKS)}, as installed, runs on it",
    )
    request = tree.add_command("request", "Have Colab asked for a GPU when it opens the notebook.")
    request.add_argument("gpu", metavar="NAME", help="its name, such as T4; none takes it back")
    watch = tree.add_command("watch", "Follow the GPUs below this cell.")
    stop = Choice("%gpu watch", "action", ["stop"])
    watch.add_argument("action", nargs="?", type=stop, default="", help="stop: follow no more")
    tree.add_command("free", "Give memory back that nothing needs; name what holds the rest.")
    return tree


def parse(words: List[str]) -> Optional[Step]:
    """Return the step that a ``%gpu`` line means; None for the commands that are no step."""
    command, arguments = parser().parse_words(words)
    if command != "require":
        return None if command else GpuStep()
    if arguments.count < 1:
        raise usage_error("%gpu: --count is 1 or more.", "Or take it out.", code="no-count")
    for text, read in (
        (arguments.memory, _parse_size),
        (arguments.compute, _parse_version),
        (arguments.cuda, _parse_version),
    ):
        if text:
            read(text)
    fields = {**vars(arguments), "name": tuple(arguments.name)}
    return GpuRequire(**fields)
