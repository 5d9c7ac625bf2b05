"""How a fresh machine gets this package: the release, or the repository at its commit."""

from typing import Tuple

from ..origin import portable

__all__ = ["install_lines"]


def install_lines() -> Tuple[str, ...]:
    """The lines of a setup cell that install colab_magics where it is missing."""
    wanted = portable()
    if not wanted:
        return ("# colab_magics came from a local copy: install it on a fresh machine first.",)
    return (
        "try:",
        "    import colab_magics",
        "except ModuleNotFoundError:",
        f"    %pip install -q {wanted}",
    )
