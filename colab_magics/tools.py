"""What an agent may do with a notebook on disk, as plain functions that return JSON's types.

jupyter-server-mcp finds them by the entry point ``jupyter_server_mcp.tools`` and takes their
docstrings for descriptions. Each runs a command in a process of its own, with the interpreter of
the Jupyter server. An error is an object with ``error``, never an exception: its ``code`` stays the
same when its text is improved.

Source: the documentation of jupyter-server-mcp 0.4.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

_ROOT = Path(__file__).resolve().parent.parent


def list_tools() -> List[str]:
    """Return the names of the tools, as the entry point has them."""
    tools = (setup_show, setup_check, setup_plan, setup_apply, run_notebook, session_info)
    return [f"{__name__}:{tool.__name__}" for tool in tools]


async def setup_show(notebook: str) -> Dict[str, Any]:
    """Show the setup cell of a notebook: the lines that bring packages, Drive and folder back.

    Args:
        notebook: The path of an .ipynb file.

    Returns:
        The text of the cell, and each line with its kind. Nothing is executed.
    """
    return await _call("setup", "show", "--json", _absolute(notebook))


async def setup_check(notebook: str) -> Dict[str, Any]:
    """Tell of each line of a notebook's setup cell whether it holds on this machine.

    Args:
        notebook: The path of an .ipynb file.

    Returns:
        Each line with its state (ok, differs, unknown) and the reason, and what else is not as it
        was recorded: Python, GPU, packages, files. Nothing is executed or changed.
    """
    return await _call("setup", "check", "--json", _absolute(notebook))


async def setup_plan(notebook: str) -> Dict[str, Any]:
    """Show what a notebook's setup cell would do on a machine that has nothing of it.

    Args:
        notebook: The path of an .ipynb file.

    Returns:
        What it installs and from where, which servers it contacts, which secrets it takes, what it
        writes outside the working directory, what is dangerous, known vulnerabilities. Nothing is
        executed or changed.
    """
    return await _call("setup", "plan", "--json", _absolute(notebook))


async def setup_apply(notebook: str, dry_run: bool = False) -> Dict[str, Any]:
    """Write hand-written set-up (!pip install, !git clone) as lines into the setup cell.

    Args:
        notebook: The path of an .ipynb file that is open nowhere.
        dry_run: Only show what each line becomes, and change nothing.

    Returns:
        The plan that was carried out, or would be. Nothing is executed. Take it back in a shell:
        colab-magics setup adopt --undo.
    """
    dry = ["--dry-run"] if dry_run else []
    return await _call("setup", "adopt", *dry, "--json", _absolute(notebook))


async def run_notebook(notebook: str, timeout: int = 0) -> Dict[str, Any]:
    """Run a notebook from top to bottom in a fresh kernel, and save its outputs in its place.

    This executes the notebook's code.

    Args:
        notebook: The path of an .ipynb file that is open nowhere.
        timeout: Seconds for each cell; 0 for no limit.

    Returns:
        Each cell that has run with its outcome, seconds and error, and the result of the run.
    """
    limit = ["--timeout", str(timeout)] if timeout > 0 else []
    return await _call("run", "--json", *limit, _absolute(notebook), lines=True)


async def session_info() -> Dict[str, Any]:
    """Show this machine: the time that is left, memory, disks, GPUs.

    Returns:
        Times in seconds, sizes in bytes.
    """
    return await _call("session", "--json")


def _absolute(notebook: str) -> str:
    """Return a path that is no option of a command."""
    return str(Path(notebook).expanduser().absolute())


async def _call(*words: str, lines: bool = False) -> Dict[str, Any]:
    """Return what a command prints as JSON, with its exit ``status``; the server stays free."""
    import asyncio

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "colab_magics", *words),
        cwd=str(_ROOT),  # a folder where the server was started might have our name
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, errors = await process.communicate()
    except BaseException:  # the client is gone
        if process.returncode is None:
            process.terminate()
        raise
    try:
        rows = [json.loads(line) for line in out.splitlines()] if lines else [json.loads(out)]
    except ValueError:
        error = {"code": "ended", "message": errors.decode(errors="replace").strip(), "hint": ""}
        return {"schema": 1, "status": process.returncode, "error": error}
    if not lines or "event" not in rows[-1]:
        return {**rows[-1], "status": process.returncode}
    *cells, last = rows
    return {**last, "cells": cells}
