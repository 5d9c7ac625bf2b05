"""``%setup apply --on ENGINE``, and the same on the command line: the set-up on every worker."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, Dict, Mapping, Sequence

from ..core.errors import usage_error
from ..core.host import Host
from ..engines.engine import Applied, Engine, choose
from ..engines.engine import apply as apply_on
from ..export.recipe import Recipe, Secrets
from ..extension.magic import Call
from ..extension.output import Status, show
from ..notebook.reading import read_stored
from ..record.cell import Line
from ..secret.lookup import find
from .magic_check import Recorded
from .magic_recipe import make_recipe


def read_secrets(recipe: Recipe, host: Host) -> Dict[str, str]:
    """Return the secrets that a set-up names; `SourceError` where one cannot be had."""
    names = [name for item in recipe.items if isinstance(item, Secrets) for name in item.names]
    return {name: find(host, name)[0] for name in names}


def apply(magic: Any, lines: Sequence[Line], call: Call, arguments: Namespace) -> Applied:
    """Set up each worker like this notebook, and show what it came to."""
    host, session = magic.host, magic.session
    variables: Mapping[str, Any] = getattr(host.shell, "user_ns", {})
    engine = choose(arguments.on, variables)
    lock, made_on = (read_stored(host, session.site, name) for name in ("lock", "made_on"))
    recipe = make_recipe("notebook", lines, Recorded(lock, made_on), host)
    with Status(host, "quiet" in call.flags) as status:
        status(f"Setting up the workers of {engine.name} ...")
        applied = apply_on(engine, recipe, read_secrets(recipe, host), arguments.restart_workers)
    status.done(None if arguments.json else applied.report())
    if applied.omissions and not arguments.json:
        show(applied.omission_report())
    return applied


def run_command(
    target: str, lines: Sequence[Line], recorded: Recorded, host: Host, restart: bool
) -> Applied:
    """Set up each worker like a notebook on disk: for ``colab-magics setup apply``."""
    engine: Engine = choose(target, {})
    if not engine.outlasts:
        message = f"{engine.name} sets up the workers of one driver, which this command is not."
        raise usage_error(message, "Type in the notebook: %setup apply --on ...", code="driver")
    recipe = make_recipe("notebook", lines, recorded, host)
    return apply_on(engine, recipe, read_secrets(recipe, host), restart)
