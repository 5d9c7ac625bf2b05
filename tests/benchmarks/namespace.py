"""Saving the variables of a kernel, beside dill and cloudpickle, in the same run.

``python tests/benchmarks/namespace.py`` prints seconds (medians of three after a first) for 10,000
small variables and for 1 GB of arrays: into a file of a spool folder by `os.write`. dill is taken
along where it is installed (``pip install dill``); it saves `__main__`, which has only these.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, Callable, Dict

import cloudpickle
import numpy as np
from timing import milliseconds, record

from colab_magics.checkpoint.manifest import Variables
from colab_magics.checkpoint.namespace import dump, load

try:
    import dill
except ImportError:
    dill = None


def small() -> Dict[str, Any]:
    """10,000 variables as cells make them."""
    kinds = (lambda i: i, str, lambda i: [i, str(i)], lambda i: {"a": i, "b": (i, None)}, float)
    return {f"v{at}": kinds[at % 5](at) for at in range(10_000)}


def large() -> Dict[str, Any]:
    """1 GB in ten arrays."""
    return {f"a{at}": np.random.default_rng(at).random(12_500_000) for at in range(10)}


def ours(namespace: Dict[str, Any], folder: Path) -> None:
    """The stream into one file, the buffers into another."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    stream, buffers = (os.open(folder / name, flags) for name in ("stream", "buffers"))

    def write(data: Any) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(buffers, view[: 8 << 20]) :]

    dump(namespace, namespace, {}, lambda data: os.write(stream, data), write)
    os.close(stream), os.close(buffers)


def with_cloudpickle(namespace: Dict[str, Any], folder: Path) -> None:
    """All in one, in memory, then to a file."""
    (folder / "cloudpickle").write_bytes(cloudpickle.dumps(namespace, protocol=5))


def with_dill(namespace: Dict[str, Any], folder: Path) -> None:
    """The session of a module that has these variables alone."""
    module = types.ModuleType("session")
    vars(module).update(namespace)
    sys.modules["session"] = module
    dill.dump_module(str(folder / "dill"), module, refimported=False)


def restored(namespace: Dict[str, Any]) -> Callable[[], object]:
    """Loading from memory; the buffers are taken as they are."""
    stream, buffers = bytearray(), []
    done = dump(namespace, namespace, {}, stream.extend, lambda b: buffers.append(bytearray(b)))
    variables = Variables("3", (), tuple(done.segments), (), {}, ())
    return lambda: load(variables, bytes(stream), buffers, {})


def main() -> None:
    """Print a line for each way."""
    options = argparse.ArgumentParser()
    options.add_argument("--folder", default="/dev/shm", help="where the files are written")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        for title, make in (("10,000 small variables", small), ("1 GB of arrays", large)):
            namespace = make()
            print(title)
            seconds = {}
            for way in (ours, with_cloudpickle, *([with_dill] if dill else [])):
                taken = milliseconds(lambda: way(namespace, Path(name)), 3)  # noqa: B023
                seconds[way.__name__.replace("with_", "")] = taken / 1000
                print(f"  {way.__name__:20} {taken / 1000:7.3f} s", flush=True)
                for file in Path(name).iterdir():
                    file.unlink()
            record(f"keeping {title}", "s", seconds.pop("ours"), seconds)
            print(f"  {'ours, back':20} {milliseconds(restored(namespace), 3) / 1000:7.3f} s")


if __name__ == "__main__":
    main()
