"""The variables of a kernel, in another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.front_end import started
from support.namespaces import ROOT, read_cases

from .conftest import MakeMachine

_SAVE = """
def _save():
    import pickle, sys, threading
    sys.path.insert(0, {tests!r})
    from support.namespaces import save, user_names
    shell, saved = get_ipython(), []
    names = user_names(shell.user_ns, shell.user_ns_hidden)
    thread = threading.Thread(target=lambda: saved.append(save(shell.user_ns, names)))
    thread.start(), thread.join()
    with open({file!r}, "wb") as stream:
        pickle.dump(saved[0], stream)
    return names, [lost.name for lost in saved[0][0].lost]
import json; print(json.dumps(_save()))
"""
_RESTORE = """
def _restore():
    import pickle, sys
    sys.path.insert(0, {tests!r})
    from support.namespaces import restore
    with open({file!r}, "rb") as stream:
        loaded = restore(pickle.load(stream), get_ipython().user_ns)
    return sorted(loaded.names), [(x.name, x.reason) for x in loaded.lost]
import json; print(json.dumps(_restore()))
"""


def test_a_kernel_goes_on_in_another_one(make_machine: MakeMachine, folder: Path) -> None:
    """Each cell that follows has the result that it has in the first kernel."""
    cases = read_cases()
    words: Any = {"tests": str(ROOT / "tests"), "file": str(folder / "saved")}
    acts = {name: case.act for name, case in cases.items() if case.act}
    with started(make_machine(), folder) as kernel:
        page = kernel.page()
        for case in cases.values():
            page.ok(case.cells)
        names, lost = json.loads(page.ok(_SAVE.format(**words)).text)
        assert set(lost) == {name for case in cases.values() for name in case.lost}
        expected = {name: page.ok(act).text for name, act in acts.items()}
    with started(make_machine(), folder) as kernel:
        page = kernel.page()
        restored = json.loads(page.ok(_RESTORE.format(**words)).text)
        assert restored == [sorted(set(names) - set(lost)), []]
        results = {name: page.ok(act).text for name, act in acts.items()}
    assert results == expected
