"""``%gpu``."""

from ..display import Report
from ..gpu.devices import find
from ..gpu.step import changed
from ..steps import Outcome
from ._base import Call, Magic

__all__ = ["GpuMagic"]


class GpuMagic(Magic):
    """Show the GPUs that this machine has, or require one.

    Where there is a GPU, ``%gpu`` is remembered with its name; on later runs the setup
    cell says what changed, and goes on. ``%gpu require`` stops instead.

    Examples
    --------
    ::

        %gpu
        %gpu require                      # any GPU
        %gpu require T4                   # by name
        %gpu require A100 --memory 40GB   # and with at least this much memory

    Options
    -------
    ``-q``: say nothing. ``-o``: return the outcome. ``--no-record``: do not remember it.
    """

    name = "gpu"
    offers = ("require", "--memory")

    def report(self, outcome: Outcome, call: Call) -> Report:
        """One line for each GPU, and what has changed since the notebook was made."""
        lines = tuple(outcome.message.split("\n"))
        news = changed(f"# {call.comment.lstrip('# ')}", find().gpus) if call.comment else ""
        return Report((*lines, news) if news else lines)
