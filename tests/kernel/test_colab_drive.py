"""Colab's Drive in a real kernel: the permission by Colab's protocol, a flush that counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Type

import pytest
from support.colab_machine import as_colab
from support.colab_page import Attended, ColabInVSCode, SecretsPage
from support.front_end import started
from support.machine import Machine

LOAD = """\
%load_ext colab_magics
import sys, threading
from pathlib import Path
from google.colab import drive
from colab_magics.drive import colab, providers
drive.MOUNTS = providers.MOUNTS = Path("mounts")
colab.VM_MARK = Path("mounts")
drive.MOUNTS.write_text("proc /proc proc rw 0 0\\n")"""
#: A flush that goes on until the display has counted.
COUNTING = """\
counted = threading.Event()
shown = colab.duration
colab.duration = lambda seconds: (counted.set(), shown(seconds))[1]
drive.FLUSHING = lambda: counted.wait(60)"""


@pytest.mark.parametrize(
    ("kind", "metadata", "refusal"),
    [
        (SecretsPage, {"colab": {}}, "Error: credential propagation was unsuccessful"),
        (
            ColabInVSCode,
            {"cellId": "vscode-notebook-cell:/nb.ipynb#W0s"},
            "[dfs_ephemeral] Credentials propagation unsuccessful",
        ),
    ],
)
def test_permission_and_flush(
    machine: Machine, folder: Path, kind: Type[Attended], metadata: Dict[str, Any], refusal: str
) -> None:
    """A permission that was not given is an error with its code; given, Drive is mounted, flushed
    with a display that goes on meanwhile, and mounted again.
    """
    with started(as_colab(machine), folder) as kernel:
        page = kernel.open(kind)
        page.refusal = refusal
        answer = page.run(LOAD + "\n%drive mount ~/d", metadata=metadata)
        assert answer.reply["ename"] == "DriveError"
        assert page.run("print(sys.last_value.code)", metadata=metadata).text == "no-permission\n"
        page.refusal = ""
        answer = page.run(COUNTING + "\n%drive mount ~/d", metadata=metadata)
        assert "Google Drive is mounted at" in answer.text
        answer = page.run("%drive flush", metadata=metadata)
        assert answer.reply["status"] == "ok", answer.text
        states: List[str] = [one["data"]["text/plain"] for one in answer.of("update_display_data")]
        assert any("so far" in state for state in states) and "again" in states[-1]
        assert page.requests == ["request_auth"] * 3 and page.prompts == []
