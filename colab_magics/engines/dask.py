"""Dask: a plugin that each worker gets, one that joins later too, before its first task."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, List, Mapping, Tuple

from ..core.errors import ColabMagicsError, usage_error
from .engine import Engine, Result
from .job import PLUGIN, Job, make_space, pack

#: Under this name the scheduler keeps the plugin; a second one takes its place.
_PLUGIN = "colab_magics"
#: Seconds for a scheduler to answer.
_ANSWER = 15


class Dask(Engine):
    """The workers of a scheduler."""

    name = "Dask"
    package = "distributed"
    address = re.compile(r"dask://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}")

    def apply(self, job: Job, secrets: Mapping[str, str], restart: bool) -> List[Result]:
        """See `Engine`."""
        from distributed import Client

        if not isinstance(self.target, str):
            if self.target.asynchronous:
                message = "%setup apply: that client is asynchronous."
                raise usage_error(
                    message, "Make one without asynchronous=True.", code="asynchronous"
                )
            return _apply(self.target, job, secrets, restart)
        address = self.target.replace("dask://", "tcp://", 1)
        with Client(address, timeout=_ANSWER, set_as_default=False) as client:
            return _apply(client, job, secrets, restart)


def _apply(client: Any, job: Job, secrets: Mapping[str, str], restart: bool) -> List[Result]:
    # The secrets are in the plugin: neither in a task nor in an argument of one. The scheduler
    # needs them for workers that join, and shows no plugin.
    plugin = _make_plugin(make_space(job.data(secrets=pack(secrets))))
    try:
        client.register_plugin(plugin, name=_PLUGIN)
    except Exception as error:  # that of a worker; the scheduler would give it to others
        with suppress(Exception):
            client.unregister_worker_plugin(_PLUGIN)
        message, hint = "Dask's workers cannot take the set-up.", "Are their versions alike?"
        raise ColabMagicsError(message, hint, str(error), code="refused") from None
    answers = client.run(_read, on_error="return")
    nannies = client.scheduler_info(n_workers=-1)["workers"]
    stale = [at for at, x in answers.items() if _result(at, x).code == "restart"]
    stale = [at for at in stale if nannies.get(at, {}).get("nanny")]  # the others cannot be
    if restart and stale:
        client.restart_workers(stale)
        client.wait_for_workers(len(answers))
        answers = client.run(_read, on_error="return")
    results = [_result(address, answer) for address, answer in answers.items()]
    return sorted(results, key=lambda result: result.worker)


def _result(address: str, answer: Any) -> Result:
    name, value = answer if isinstance(answer, tuple) else (address, answer)
    return Result.read(name if isinstance(name, str) else address, value)


def _make_plugin(space: Mapping[str, Any]) -> Any:
    """Return what is a plugin here, and where it is unpickled the one that the worker makes."""
    from distributed.diagnostics.plugin import WorkerPlugin

    class Sent(WorkerPlugin):  # type: ignore[misc,unused-ignore]
        def __reduce__(self) -> Tuple[Any, ...]:
            return eval, (PLUGIN, space)

    return Sent()


def _read(dask_worker: Any) -> Tuple[Any, Any]:
    """Return the name of a worker, and what the plugin came to."""
    return dask_worker.name, getattr(dask_worker.plugins.get("colab_magics"), "result", None)


_read.__module__ = "__main__"  # so that it is sent as it is: workers have no colab_magics
