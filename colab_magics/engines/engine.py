"""The engines that other machines are reached by: a registry, and what each of them extends."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import (
    Any,
    ClassVar,
    Dict,
    List,
    Literal,
    Mapping,
    Optional,
    Pattern,
    Sequence,
    Tuple,
    Type,
)

from ..core.display import Mark, Report, Tone, printable
from ..core.errors import ColabMagicsError, SetupDiffers, usage_error
from ..core.redact import redact
from ..core.registry import load
from ..export.formats import Export, Omission
from ..export.recipe import Recipe
from .job import Job

State = Literal["holds", "differs", "failed"]
#: Name of an engine -> its class.
ENGINES = {
    "ray": "colab_magics.engines.ray:Ray",
    "dask": "colab_magics.engines.dask:Dask",
    "ipyparallel": "colab_magics.engines.ipyparallel:Ipyparallel",
}
_TONES: Dict[State, Tone] = {"holds": "good", "differs": "caution", "failed": "bad"}
#: The most characters of a text from a worker, and of what its installer printed.
_TEXT, _DETAILS = 300, 2000


@dataclass(frozen=True)
class Result:
    """What a worker came to; ``changed`` names what was done now, ``gpu`` its GPUs."""

    worker: str
    state: State
    code: str = ""
    reason: str = ""
    changed: Tuple[str, ...] = ()
    gpu: str = ""
    details: str = ""

    @classmethod
    def read(cls, worker: object, value: Any) -> Result:
        """Return what a worker has answered, which may be anything, without secrets."""
        name = _clean(worker)
        if not isinstance(value, dict) or value.get("state") not in tuple(_TONES):
            kind = type(value).__name__
            return cls(name, "failed", "no-answer", f"no answer that can be read ({kind})")
        code, reason, gpu = (_clean(value.get(key, "")) for key in ("code", "reason", "gpu"))
        changed = value.get("changed")
        changed = tuple(map(_clean, changed[:100])) if isinstance(changed, list) else ()
        details = _clean(value.get("details", ""), _DETAILS)
        return cls(name, value["state"], code, reason, changed, gpu, details)


def _clean(text: object, size: int = _TEXT) -> str:
    return printable(redact(str(text)))[:size]


@dataclass(frozen=True)
class Applied:
    """What a set-up came to on each worker, and what no worker is given."""

    engine: str
    workers: Tuple[Result, ...]
    omissions: Tuple[Omission, ...] = ()

    @property
    def state(self) -> State:
        """The worst state of a worker."""
        states = {result.state for result in self.workers}
        return "failed" if "failed" in states else "differs" if "differs" in states else "holds"

    def as_json(self) -> Dict[str, Any]:
        """Return an object: ``schema`` 1, ``engine``, ``state``, ``workers`` and ``omissions``."""
        workers = [asdict(result) for result in self.workers]
        omissions = [asdict(omission) for omission in self.omissions]
        head = {"schema": 1, "engine": self.engine, "state": self.state}
        return {**head, "workers": workers, "omissions": omissions}

    def report(self) -> Report:
        """Return the table of the workers."""
        rows = tuple(
            (Mark.of(x.state, _TONES[x.state]), x.worker, x.gpu or "none", _describe(x))
            for x in self.workers
        )
        is_idle = self.state == "holds" and not any(x.changed for x in self.workers)
        after = ("All of it was there already: nothing was changed.",) if is_idle else ()
        return Report((), rows, after, ("state", "worker", "GPU", "what"))

    def omission_report(self) -> Report:
        """Return the table of the lines that no worker is given."""
        return Export("the workers", (), self.omissions).report()

    def error(self) -> Optional[ColabMagicsError]:
        """Return the error where a worker differs or has failed; None where all hold."""
        bad = tuple(x for x in self.workers if x.state == self.state)
        if self.state == "holds":
            return None
        number = f"{len(bad)} of {len(self.workers)} workers"
        details = next((x.details for x in bad if x.details), "")
        text, hint = f"{bad[0].worker}: {bad[0].reason}", _HINTS.get(bad[0].code, "")
        if self.state == "failed":
            message = f"The set-up has failed on {number}: {text}."
            return ColabMagicsError(message, hint, details, code="workers-failed")
        error = SetupDiffers(f"{number} differ: {text}.", hint, details, code="workers-differ")
        error.lines = tuple(x.worker for x in bad)
        return error


_HINTS = {
    "restart": "Dask: add --restart-workers. Elsewhere: restart the engine, and type this again.",
    "secret": "Set it where the engine is started.",
    "file": "Remove it there, or correct --sha256 on its line.",
    "gpu": "Choose workers with that GPU, or take the line out.",
    "no-installer": "Install pip or uv where the workers are made.",
}


def _describe(result: Result) -> str:
    done = ", ".join(result.changed)
    done = f"done now: {done}" if done else ""
    return "; ".join(filter(None, (result.reason, done))) or "nothing to do"


class Engine:
    """One kind of engine, made for an address or for a client of the user's."""

    name: ClassVar[str]
    #: The package that has its ``Client``, and what addresses look like.
    package: ClassVar[str]
    address: ClassVar[Pattern[str]]
    job: ClassVar[Type[Job]] = Job
    #: Whether what it sets up is there for other processes than this one.
    outlasts: ClassVar[bool] = True

    def __init__(self, target: Any) -> None:
        self.target = target

    def apply(self, job: Job, secrets: Mapping[str, str], restart: bool) -> List[Result]:
        """Set up each worker; errors of a worker are its result."""
        raise NotImplementedError

    def missing(self) -> ColabMagicsError:
        """Return the error where its package is not installed here."""
        message = f"{self.package} is not installed here."
        return ColabMagicsError(message, f"Install it: %pin {self.package}", code="no-engine")


def choose(target: str, variables: Mapping[str, Any]) -> Engine:
    """Return the engine of an address, or of the client that a variable has."""
    engines: Sequence[Type[Engine]] = [load(name) for name in ENGINES.values()]
    for kind in engines:
        if kind.address.fullmatch(target):
            return kind(target)
    if target in variables:
        bases = [base.__module__.partition(".")[0] for base in type(variables[target]).__mro__]
        for kind in engines:
            if kind.package in bases and type(variables[target]).__name__.endswith("Client"):
                return kind(variables[target])
    is_name = bool(re.fullmatch(r"[A-Za-z_]\w*", target))
    text = f"{target} is no client of Dask or ipyparallel" if is_name else "that is no address"
    raise usage_error(
        f"%setup apply: {text}.",
        "Type --on dask://HOST:PORT, ray://HOST:PORT, auto, ray, ipyparallel, or a client's name.",
        code="no-engine",
    )


def apply(engine: Engine, recipe: Recipe, secrets: Mapping[str, str], restart: bool) -> Applied:
    """Set up each worker of an engine."""
    job = engine.job(recipe)
    omissions = job.export().omissions
    try:
        results = engine.apply(job, secrets, restart)
    except ImportError:
        raise engine.missing() from None
    except (OSError, TimeoutError) as error:
        if isinstance(error, ColabMagicsError):
            raise
        message, hint = f"{engine.name} cannot be reached.", "Is it running there?"
        raise ColabMagicsError(message, hint, _clean(error, _DETAILS), code="unreachable") from None
    if not results:
        message = f"{engine.name} has no worker."
        raise ColabMagicsError(message, "Start one, and type this again.", code="no-workers")
    return Applied(engine.name, tuple(results), omissions)
