"""The table of what magics do around cells: classes that follow `session.Hook`."""

from __future__ import annotations

#: Called in this order. Importing one must be light: it is done by ``%load_ext``.
HOOKS = (
    "colab_magics.setup.hooks:TrustGate",  # before what begins to work on a cell
    "colab_magics.github.hooks:Clones",
    "colab_magics.fetch.hooks:Prefetch",
    "colab_magics.pin.hooks:LockKeeper",
    "colab_magics.pin.hooks:UndoHistory",
    "colab_magics.pin.hooks:OtherNotebooks",
    "colab_magics.pin.hooks:InstalledPast",
    "colab_magics.cd_persist.hooks:LostCd",
    "colab_magics.setup.hooks:SetupVerdict",
    "colab_magics.setup.hooks:NoteMadeOn",
    "colab_magics.jobs.hooks:EndedJobs",
    "colab_magics.drive.hooks:Watches",
    "colab_magics.session.hooks:TimeLeft",
    "colab_magics.checkpoint.magic_resumable:Loops",
    "colab_magics.checkpoint.magic_cells:CellLog",
    "colab_magics.checkpoint.hooks:Checkpoints",
    "colab_magics.drive.hooks:LastFlush",
    "colab_magics.checkpoint.magic_resume:Resume",
)
