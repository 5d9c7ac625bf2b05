"""A machine set up as Colab sets up its own, as far as this can be known from outside.

Real: IPython, ipykernel and, where an environment has them, Colab's versions (see
`tests/constraints-colab.txt`); the configuration of IPython, which every Python on the machine
reads; the kernel's sockets, files instead of ports. Doubles, in `tests/doubles/google_colab`: the
package ``google.colab`` with its kernel and shell class. The page is `other_front_ends.Colab`.
`docs/colab.md` lists what is played, and what was never seen on the real one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import doubles

from .machine import Machine

DOUBLE = Path(doubles.__file__).parent / "google_colab"

#: What Colab has in a system folder, this has in the user's: both are read by every Python.
_CONFIG = """\
c = get_config()
c.IPKernelApp.kernel_class = "google.colab._kernel.Kernel"
c.Completer.use_jedi = False
c.InteractiveShellApp.extensions = ["google.colab"]
"""


def as_colab(machine: Machine) -> Machine:
    """Return a machine set up as Colab's: only its own Python has ``google.colab``."""
    profile = Path(machine.variables["IPYTHONDIR"], "profile_default")
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text(_CONFIG)
    site = next(machine.python.parent.parent.rglob("site-packages"))
    (site / "google_colab.pth").write_text(f"{DOUBLE}\n")
    variables = {"COLAB_RELEASE_TAG": "release-colab-external-test", "COLAB_GPU": ""}
    return replace(machine, variables={**machine.variables, **variables})
