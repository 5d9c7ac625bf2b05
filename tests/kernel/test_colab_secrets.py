"""Colab's secrets through its own protocol: late answers, no page, and what is typed meanwhile."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from support.colab_machine import as_colab
from support.colab_page import ColabInVSCode, SecretsPage
from support.front_end import Answer, Kernel, started
from support.machine import Machine

CANARY = "canary-c0ffee"
#: Colab's own package gives up at once, so that a test which waits longer takes no ten seconds.
LOAD = """\
%load_ext colab_magics
import os, sys
import google.colab.userdata as userdata
from colab_magics.secret import places
userdata.PATIENCE = 0.1"""
COLAB: Dict[str, Any] = {"colab": {"cell_id": "x"}}
#: An answer to a request that nobody waits for any more.
STALE = {"type": "colab_reply", "colab_msg_id": -1, "data": {"exists": True, "payload": "late"}}


@pytest.fixture
def kernel(machine: Machine, folder: Path) -> Iterator[Kernel]:
    """A kernel of a machine of Colab's."""
    with started(as_colab(machine), folder) as running:
        yield running


def code(page: Any) -> str:
    """The code of the last error."""
    answer: Answer = page.run("print(sys.last_value.code)", metadata=COLAB)
    return answer.text.strip()


def test_a_late_answer_is_waited_for(kernel: Kernel) -> None:
    """A person who takes longer than Colab's own ten seconds is waited for: with one request, since
    each opens a window, and without a prompt, which would take the answer for what was typed.
    """
    page = kernel.open(SecretsPage)
    page.secrets, page.delay = {"TOKEN": CANARY}, 0.5
    answer = page.run(LOAD + "\n%secret TOKEN", metadata=COLAB)
    assert "TOKEN is set, from Colab's secrets" in answer.text and CANARY not in repr(
        answer.messages
    )
    assert (page.requests, page.prompts) == (["GetSecret"], [])
    assert page.run("print(os.environ['TOKEN'])", metadata=COLAB).text.strip() == CANARY


def test_a_time_out_bars_nothing(kernel: Kernel) -> None:
    """Where nobody answers in time that is an error without a prompt; the late answer is dropped,
    and the next try has the secret.
    """
    page = kernel.open(SecretsPage)
    page.secrets, page.delay = {"TOKEN": CANARY}, None
    answer = page.run(LOAD + "\nplaces.PATIENCE = 0.2\n%secret TOKEN", metadata=COLAB)
    assert answer.reply["ename"] == "SourceError" and code(page) == "secret-late"
    assert page.prompts == []
    page.answer_open()
    page.delay = 0.0
    answer = page.run("places.PATIENCE = 60\n%secret TOKEN", metadata=COLAB)
    assert "TOKEN is set, from Colab's secrets" in answer.text
    assert page.requests == ["GetSecret", "GetSecret"] and page.prompts == []


def test_only_text_counts_as_typed(kernel: Kernel) -> None:
    """A late answer that comes while something is typed is neither the secret nor a yes; what is
    typed after it is, and nobody is prompted twice.
    """
    page = kernel.open(SecretsPage)
    page.typed = [[STALE, CANARY], [STALE, "y"], [STALE, "no"]]
    answer = page.run(LOAD + "\n%secret TOKEN", metadata=COLAB)
    assert "TOKEN is set for this kernel" in answer.text, answer.text
    assert page.run("print(os.environ['TOKEN'])", metadata=COLAB).text.strip() == CANARY
    assert "The machine is given back" in page.run("%session end", metadata=COLAB).text
    assert "not given back" in page.run("%session end", metadata=COLAB).text
    assert len(page.prompts) == 3


def test_without_the_page_it_is_not_asked(kernel: Kernel) -> None:
    """VS Code on Colab cannot give Colab's secrets: it prompts at once. Another client of the
    kernel, such as Colab's command line, gets an error at once, with its own way.
    """
    window = kernel.open(ColabInVSCode)
    window.typed = [[CANARY]]
    cell = {"cellId": "vscode-notebook-cell:/nb.ipynb#W0s"}
    answer = window.run(LOAD + "\n%secret TOKEN", metadata=cell)
    assert "TOKEN is set for this kernel" in answer.text
    answer = window.run("%secret OTHER", metadata={})
    assert answer.reply["ename"] == "SourceError" and "--env OTHER" in answer.text
    assert window.requests == [] and len(window.prompts) == 1


def test_ctrl_c_ends_the_wait(kernel: Kernel) -> None:
    """While the page waits for its person, Ctrl-C ends the cell, and the next try works."""
    page = kernel.open(SecretsPage)
    page.secrets, page.delay = {"TOKEN": CANARY}, None
    process = int(page.run(LOAD + "\nprint(os.getpid())", metadata=COLAB).text)
    page.on_request = partial(os.kill, process, signal.SIGINT)
    assert page.run("%secret TOKEN", metadata=COLAB).reply["ename"] == "KeyboardInterrupt"
    page.delay, page.on_request = 0.0, list
    assert "TOKEN is set" in page.run("%secret TOKEN", metadata=COLAB).text
