"""``%secret`` in a real kernel: what is typed reaches it, and nothing that is written."""

from __future__ import annotations

import threading
from pathlib import Path

from support.front_end import started
from support.machine import Machine

CANARY = "canary-5d1e8b"


def test_what_is_typed_is_nowhere(machine: Machine, folder: Path) -> None:
    """Asked for as a password; it is in no message of the kernel, no file of the notebook's folder
    and in no process's arguments; the next kernel has it.
    """
    with started(machine, folder) as kernel:
        page = kernel.page()
        page.ok("%load_ext colab_magics")
        asked = []

        def answer() -> None:
            message = page._client.get_stdin_msg(timeout=60)
            asked.append(message["content"])
            page.reply(CANARY)

        person = threading.Thread(target=answer)
        person.start()
        answers = [page.ok("%secret set TOKEN --to file")]
        person.join()
        assert asked[0]["password"] is True and "TOKEN" in asked[0]["prompt"]
        answers += [page.ok("%secret TOKEN"), page.ok("%secret list"), page.ok("%secret")]
        answers.append(page.run(f"%cd_persist {CANARY}"))
        assert page.ok("import os; print(len(os.environ['TOKEN']))").text.strip() == "13"
        arguments = page.ok(
            "import pathlib\n"
            "for one in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
            "    try: print(one.read_bytes())\n"
            "    except OSError: pass"
        )
        for one in (*answers[:-1], arguments):
            assert CANARY not in repr(one)
        # The cell that holds it comes back as the input of that cell, and nowhere else.
        said = [m for m in answers[-1].messages if m["header"]["msg_type"] != "execute_input"]
        assert said and CANARY not in repr([m["content"] for m in said])
    with started(machine, folder) as kernel:
        page = kernel.page()
        text = page.ok("%load_ext colab_magics\n%secret TOKEN").text
        assert "TOKEN is set, from your file of secrets" in text and CANARY not in text
    found = [
        p for p in folder.rglob("*") if p.is_file() and CANARY in p.read_text("utf-8", "replace")
    ]
    assert found == []
