"""How a fresh machine gets this package: the release, or the repository at its commit."""

import re
from typing import Tuple

from ..core.origin import portable


#: What is one word to IPython, to pip and to a shell, and nothing that IPython would expand.
_WORD = re.compile(r"[\w.~+:/@%=&?#-]*[\w/]", re.ASCII)


def install_lines() -> Tuple[str, ...]:
    """The lines of a setup cell that install colab_magics where it is missing."""
    wanted = portable()
    if not wanted:
        return ("# colab_magics came from a local copy: install it on a fresh machine first.",)
    if not _WORD.fullmatch(wanted):
        return ("# No line can name where colab_magics came from: install it first.",)
    return (
        "try:",
        "    import colab_magics",
        "except ModuleNotFoundError:",
        f"    %pip install -q {wanted}",
    )
