"""ipyparallel: each engine of a controller, by a task that has no secret."""

from __future__ import annotations

import re
import shutil
from typing import Any, List, Mapping

from ..core import files, folders
from .engine import Engine, Result
from .job import APPLY, Job, make_space

#: Seconds for a controller to answer.
_ANSWER = 15


class Ipyparallel(Engine):
    """The engines of a client, or of the default profile's controller.

    The hub may keep the arguments of all tasks in its database. So the secrets are in a private
    file of this user's until the engines have read it, like ipyparallel's own keys: engines of this
    machine, or with the same home, get them.
    """

    name = "ipyparallel"
    package = "ipyparallel"
    address = re.compile("ipyparallel")

    def apply(self, job: Job, secrets: Mapping[str, str], restart: bool) -> List[Result]:
        """See `Engine`."""
        import json

        from ipyparallel import Client

        is_ours = isinstance(self.target, str)
        client = Client(timeout=_ANSWER) if is_ours else self.target
        folder = folders.scratch_folder("engines-", folders.cache_folder("engines"))
        try:
            path = folder / "secrets.json"
            files.save(path, json.dumps(dict(secrets)))
            space = make_space(job.data(secret_file=str(path)))
            tasks = [(at, client[at].apply_async(eval, APPLY, space)) for at in client.ids]
            return [Result.read(f"engine {at}", _answer(task)) for at, task in tasks]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if is_ours:
                client.close()


def _answer(task: Any) -> Any:
    """Return what an engine has answered, or the error: it may have died."""
    from ipyparallel.error import IPythonError

    try:
        return task.get()
    except IPythonError as error:
        return error
