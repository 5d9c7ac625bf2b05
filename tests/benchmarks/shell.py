"""What ``%shell`` costs beside ``!`` and ``%%bash``, in the same kernel, in the same run.

``python tests/benchmarks/shell.py`` prints milliseconds and ratios. Promised: ``%shell true`` takes
under a tenth of ``!true``; a notebook with 200,000 lines of output is saved in under 200 kB.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, List

import nbformat
from jupyter_client.manager import start_new_kernel
from timing import milliseconds, record

LINES = 200_000
FLOOD = f"seq {LINES}"
#: Slow to print, line by line: where terminals cost most.
TRICKLE = "for i in $(seq 50000); do echo line $i; done"


def asker(client: Any) -> Callable[[str], List[Dict[str, Any]]]:
    """Run a cell as a live front end does; what the kernel sent for it."""

    def ask(cell: str) -> List[Dict[str, Any]]:
        messages: List[Dict[str, Any]] = []
        reply = client.execute_interactive(
            cell, allow_stdin=True, output_hook=messages.append, timeout=300
        )
        if reply["content"]["status"] != "ok":
            raise SystemExit(f"{cell!r} failed: {reply['content']}")
        return messages

    return ask


def saved(messages: List[Dict[str, Any]]) -> int:
    """Bytes of the notebook that a front end saves after these messages."""
    outputs: List[Any] = []
    shown: Dict[str, Any] = {}
    for message in messages:
        kind, content = message["msg_type"], message["content"]
        if kind == "update_display_data":
            shown[content["transient"]["display_id"]]["data"] = content["data"]
        elif kind == "stream" and outputs and outputs[-1].get("name") == content["name"]:
            outputs[-1]["text"] += content["text"]
        elif kind in ("stream", "display_data", "execute_result"):
            outputs.append(nbformat.v4.output_from_msg(message))
            shown[content.get("transient", {}).get("display_id", "")] = outputs[-1]
    cell = nbformat.v4.new_code_cell("", outputs=outputs)
    return len(nbformat.writes(nbformat.v4.new_notebook(cells=[cell])).encode())


def compare(ask: Callable[[str], Any], command: str, *others: str, rounds: int = 7) -> None:
    """Milliseconds of a command by ``%shell``, and by others, beside those of an empty cell."""
    empty = milliseconds(lambda: ask("pass"), 20)
    ours = milliseconds(lambda: ask(f"%shell {command}"), rounds) - empty
    print(f"%shell {command}: {ours:.1f} ms, and {empty:.1f} ms that any cell takes")
    for other in others:
        theirs = milliseconds(lambda other=other: ask(other), rounds) - empty
        name, share = other.splitlines()[0], ours / max(theirs, 0.1)
        print(f"  {name}: {theirs:.1f} ms; %shell takes {share:.2f} of it")
        if other.startswith("!"):
            record(f"`{command}` in a cell", "ms", ours, {"!": theirs})


def main() -> None:
    """Measure and print."""
    manager, client = start_new_kernel(kernel_name="python3")
    ask = asker(client)
    try:
        ask("%load_ext colab_magics")
        compare(ask, "true", "!true", "%%bash\ntrue", rounds=20)
        compare(ask, FLOOD, f"!{FLOOD}", rounds=5)
        compare(ask, TRICKLE, f"!{TRICKLE}", f"%shell --no-tty {TRICKLE}", rounds=3)
        sizes = []
        for cell in (f"%shell {FLOOD}", f"!{FLOOD}"):
            messages = ask(cell)
            sizes.append(saved(messages) / 1000)
            print(f"{cell}: saved in {sizes[-1]:.0f} kB, {len(messages)} messages")
        record(f"a notebook with that output of {LINES:,} lines", "kB", sizes[0], {"!": sizes[1]})
        began = time.perf_counter()
        ask("%shell -q seq 1000000")
        print(f"%shell -q seq 1000000: {time.perf_counter() - began:.2f} s")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    print(f"Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
