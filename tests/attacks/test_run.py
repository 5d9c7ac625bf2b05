"""A notebook whose cells raise what only our own magics raise."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.runs import Started
from kernel.files import notebook

_RAISE = """\
import time
class {name}(Exception): pass
raise {name}({message})
"""
#: Name and message, as code, of the error; and how often the notebook is run.
RAISED = [
    ("RestartRequired", "''", 2),
    ("RestartRequired", "str(time.time())", 2),
    ("OtherPython", "'asks for Python ...;'", 1),
]


@pytest.mark.parametrize(("name", "message", "times"), RAISED)
def test_an_error_of_our_name(name: str, message: str, times: int, tmp_path: Path) -> None:
    """The run ends with status 1 and no traceback, however often the cell asks for a restart."""
    path = notebook(tmp_path / "notebooks" / "nb.ipynb", _RAISE.format(name=name, message=message))
    run = Started(path, prelude="from colab_magics.run import runner; runner.RESTARTS = 1")
    ended = run.ended()
    assert ended.status == 1 and "Traceback" not in ended.errors
    assert ended.out.count("failed") == times
    assert run.left() == []
