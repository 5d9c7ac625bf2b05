"""Ray: the ``runtime_env`` of this driver, which each worker process of its job has."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..core.errors import ColabMagicsError
from ..export.formats import NotHeld, make
from ..export.recipe import Pins
from . import worker
from .engine import Engine, Result
from .job import APPLY, Job, make_space, pack

#: What this process has connected with: the set-up, and the secrets.
_connected: List[Tuple[str, Dict[str, str]]] = []


class RayJob(Job):
    """As the runtime_env has it: one set of options for all, and no hashes."""

    has_groups = False

    def _add_pin(self, pins: Pins) -> None:
        if pins.hashed:
            raise NotHeld("hashes", "there is no place for hashes in a runtime_env")
        super()._add_pin(pins)


class Ray(Engine):
    """The nodes of a cluster: Ray makes the environment of a worker where it starts it."""

    name = "Ray"
    package = "ray"
    address = re.compile(r"auto|ray|ray://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}")
    job = RayJob
    outlasts = False

    def apply(self, job: Job, secrets: Mapping[str, str], restart: bool) -> List[Result]:
        """See `Engine`."""
        if _is_below_uv_run():
            message = "Ray refuses a runtime_env below uv run."
            hint = "Start Jupyter or Python of that environment itself."
            raise ColabMagicsError(message, hint, code="uv-run")
        import ray

        is_new = self._connect(ray, job, secrets)
        results = _inspect(ray, job, is_new)
        if is_new and all(result.state == "failed" for result in results):
            ray.shutdown()  # the next line may be right
            _connected.clear()
        return results

    def _connect(self, ray: Any, job: Job, secrets: Mapping[str, str]) -> bool:
        """Connect with the set-up; False where this process is connected with it already."""
        env: Dict[str, Any] = json.loads(make("ray", job.recipe)[1].files[0][1])
        now = json.dumps([env, job.data(), self.target]), dict(secrets)  # Ray changes env
        if ray.is_initialized():
            if _connected == [now]:
                return False
            message = "Ray is connected already, and sets workers up when a driver connects."
            raise ColabMagicsError(
                message, "Type ray.shutdown(), and this again.", code="connected"
            )
        data = job.data(pins=[], gpus=[], secrets=pack(secrets))
        address = os.environ.get("RAY_ADDRESS") if self.target == "ray" else self.target
        _start(ray, address, env, data)
        _connected[:] = [now]
        return True


def _start(ray: Any, address: Optional[str], env: Dict[str, Any], data: Dict[str, Any]) -> None:
    """Connect, and leave the set-up where each worker process reads it before its tasks.

    Their hook is a module without secrets, which Ray sends, and which is named as its worker looks
    for it: the client of ``ray://`` sends no function, and Ray 2.60 never deletes one. The set-up
    is beside the job's functions, and goes with the job; the dashboard shows neither.
    """
    from ray._private import ray_constants
    from ray.experimental.internal_kv import _internal_kv_put

    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder, "colab_magics_worker")
        module.mkdir()
        shutil.copyfile(worker.__file__, module / "__init__.py")
        name = f"{module.name}.{worker.set_up_ray.__name__}"
        variables = {ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR: name}
        env = {**env, "env_vars": {**env.get("env_vars", {}), **variables}}
        try:
            ray.init(address, runtime_env={**env, "py_modules": [str(module)]})
        except ConnectionAbortedError as error:  # the environment of its driver there
            message = "Ray cannot start a driver there with these packages and variables."
            hint = (
                "Type this again; the logs there: ray_client_server*.err, runtime_env_setup*.log."
            )
            raise ColabMagicsError(message, hint, str(error)[-2000:], code="refused") from None
    key = worker.RAY_KEY.format(ray.get_runtime_context().get_job_id())
    space = ray_constants.KV_NAMESPACE_FUNCTION_TABLE
    _internal_kv_put(key, pickle.dumps(data), namespace=space)


def _inspect(ray: Any, job: Job, is_new: bool) -> List[Result]:
    """Return what each node came to, by a task on it that installs nothing."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def inspect(expression: str, space: Dict[str, Any]) -> Any:
        return eval(expression, space)  # noqa: S307 - our own text

    inspect.__module__ = "__main__"
    task = ray.remote(num_cpus=0, max_retries=0)(inspect)
    space = make_space(job.data(installs=False, all_gpus=True))
    nodes = [node for node in ray.nodes() if node["Alive"]]
    tasks = []
    for node in nodes:
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        tasks.append(task.options(scheduling_strategy=place).remote(APPLY, space))
    results = []
    for node, reference in zip(nodes, tasks):
        value = _answer(ray, reference)
        if is_new and isinstance(value, dict) and value.get("state") == "holds":
            value["changed"] = [text for pin in job.pins for text in pin.requirements]
            value["changed"] += [*job.variables, *job.secrets, *(x[1] for x in job.downloads)]
        results.append(Result.read(node.get("NodeName") or node["NodeID"], value))
    return results


def _answer(ray: Any, reference: Any) -> Any:
    """Return what a node has answered; an environment that cannot be made is its failure."""
    try:
        return ray.get(reference)
    except ray.exceptions.RuntimeEnvSetupError as error:
        reason = "its environment cannot be made"
        return {"state": "failed", "code": "install", "reason": reason, "details": str(error)}
    except ray.exceptions.RayError as error:
        return error


def _is_below_uv_run() -> bool:
    """Tell whether ``uv run`` has started this process, or one above it, as Ray's own hook does."""
    import psutil

    for process in psutil.Process().parents():
        try:
            words: Optional[List[str]] = process.cmdline()[:2]
        except psutil.Error:
            continue
        if words and re.search(r"(^|[/\\])uv(\.exe)?$", words[0]) and words[1:] == ["run"]:
            return True
    return False
