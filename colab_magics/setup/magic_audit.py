"""Known vulnerabilities of packages, as ``uv audit`` knows them from OSV.

Only names and versions are handed over, and this machine's own index is asked, not the notebook's;
nothing is built. Source: ``uv audit --help`` and the output of uv 0.13, which says that both may
change: what cannot be read is not known.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from typing import List, Sequence

from ..core.controls import visible
from ..core.errors import NotStarted
from ..core.folders import scratch_folder
from ..core.process import run
from ..core.steps import Step
from ..pin.pip_config import read_settings
from ..pin.requirements import requirement
from ..pin.uv import Uv, find_uv
from .card import Audit, Vulnerability

#: The server that is asked.
SERVICE = "api.osv.dev"
#: Seconds, after which it is done without.
PATIENCE = 5.0
_OPTIONS = ("--output-format", "json", "--no-build", "--quiet")
_SCRIPT = "# /// script\n# dependencies = {}\n# ///\n"


def list_versions(steps: Sequence[Step]) -> List[str]:
    """Return the packages that lines pin to a version, of an index."""
    texts = [text for step in steps for text in getattr(step, "requirements", ())]
    needs = [requirement(text) for text in texts]
    return sorted({f"{x.name}{x.specifier}" for x in needs if not x.url and _is_exact(x)})


def _is_exact(need: object) -> bool:
    return [each.operator for each in getattr(need, "specifier", ())] == ["=="]


def audit(packages: Sequence[str]) -> Audit:
    """Return what is known of packages, such as ``numpy==2.1.3``; never an error."""
    uv = find_uv()
    if uv is None:
        return Audit(reason="not looked up: uv is not here")
    folder = scratch_folder("colab-magics-audit-")
    try:
        script = folder / "audit.py"
        script.write_text(_SCRIPT.format(json.dumps(list(packages))), encoding="utf-8")
        environment = {**Uv().environment(read_settings()), "UV_HTTP_RETRIES": "0"}
        environment.pop("RUST_LOG")
        command = [uv, "audit", "--script", str(script), *_OPTIONS]
        done = run(command, environment, timeout=PATIENCE)
    except TimeoutError:
        return Audit(reason="not looked up: uv audit took too long")
    except (NotStarted, OSError):
        return Audit(reason="not looked up: uv cannot be started")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if any("unrecognized subcommand" in line for line in done.lines):
        return Audit(reason="not looked up: this uv has no audit")
    return _read(done.lines)


def _read(lines: Sequence[str]) -> Audit:
    begin = next((at for at, line in enumerate(lines) if line == "{"), len(lines))
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        data = json.loads("\n".join(lines[begin:]))
        return Audit(tuple(map(_read_vulnerability, data["vulnerabilities"])))
    return Audit(reason="not looked up: uv audit has not answered")


def _read_vulnerability(entry: dict) -> Vulnerability:  # type: ignore[type-arg]
    package = entry["dependency"]
    name, summary = str(entry["display_id"]), str(entry.get("summary") or "")
    texts = (str(package["name"]), str(package["version"]), name, summary)
    every = (*texts, *map(str, entry.get("fix_versions") or ()))
    plain = [visible(text, allow="")[:200] for text in every]
    return Vulnerability(plain[0], plain[1], plain[2], plain[3], tuple(plain[4:]))
