"""What each worker of an engine is given, as data; line by line what it is not given."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ..export.commands import Programs, option_words
from ..export.formats import File, Format, NotHeld
from ..export.recipe import Download, Gpu, Pins, Recipe, Secrets

#: What a worker evaluates: builtins and text alone, so that it needs no colab_magics, and no
#: Python that reads another's bytecode.
APPLY = "exec(source) or apply(job)"
PLUGIN = "exec(source) or make_plugin(job)"


class Job(Format):
    """The pins, variables, downloads, secrets by name, and GPUs of a set-up."""

    name = "workers"
    has_groups = True
    options = Programs.options - {"--constraint", "--find-links"}
    instead = {"drive": "no drive is there: see %fetch", "cd": "workers stay where they started"}

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.downloads: List[Tuple[str, str, str]] = []
        self.secrets: List[str] = []
        self.gpus: List[Tuple[str, int]] = []

    def files(self) -> Sequence[File]:
        """See `Format`: a job is no file."""
        return ()

    def _add_pin(self, pins: Pins) -> None:
        if pins.folders:
            raise NotHeld("folder", "a folder is not copied there: make a package of it")
        super()._add_pin(pins)

    def _add_fetch(self, item: Download) -> None:
        self.downloads.append((item.url, str(item.path), item.sha256))

    def _add_secret(self, item: Secrets) -> None:
        self.secrets += item.names

    def _add_gpu(self, item: Gpu) -> None:
        self.note_more(item)
        self.gpus.append((item.name, item.count))

    def data(self, **changes: Any) -> Dict[str, Any]:
        """Return what ``apply`` of the worker takes: no secret, unless ``changes`` has them."""
        pins = [{"options": option_words(x), "requirements": [*x.requirements]} for x in self.pins]
        data = {"pins": pins, "installs": True, "variables": self.variables, "gpus": self.gpus}
        data.update(files=self.downloads, secret_names=self.secrets, secrets=None, secret_file="")
        plain = json.loads(json.dumps({**data, "all_gpus": False}))  # no class of ours
        return {**plain, **changes}


def pack(secrets: Mapping[str, str]) -> bytes:
    """Return secrets as a worker takes them: no dump of a message shows them as text."""
    return zlib.compress(json.dumps(dict(secrets)).encode())


def make_space(data: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the names that `APPLY` and `PLUGIN` are evaluated with."""
    source = Path(__file__).with_name("worker.py").read_text(encoding="utf-8")
    return {"__name__": "colab_magics_worker", "source": source, "job": dict(data)}
