"""The tools for agents, called by the real jupyter-server-mcp in a real Jupyter server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
from support.notebooks import MARKER, notebook, shown

from colab_magics.core.origin import requirement
from colab_magics.pin.uv import find_uv

pytestmark = [pytest.mark.once, pytest.mark.long]

#: Waits until the server answers, calls each tool, and prints what comes back.
_CLIENT = """\
import asyncio, json, sys
from fastmcp import Client

async def main(address, calls):
    for left in range(600, -1, -1):
        try:
            async with Client(address) as client:
                names = [tool.name for tool in await client.list_tools()]
                results = [(await client.call_tool(*call)).data for call in calls]
            print(json.dumps([names, results]))
            return
        except RuntimeError:
            if not left:
                raise
            await asyncio.sleep(0.1)

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with this package, a kernel and jupyter-server-mcp."""
    if sys.version_info < (3, 10):
        pytest.skip("elsewhere: jupyter-server-mcp takes Python 3.10")
    folder, uv = tmp_path_factory.mktemp("mcp") / "environment", find_uv()
    assert uv is not None
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    packages = ["jupyter-server-mcp>=0.4,<0.5", requirement()]
    packages += ["--refresh-package", "colab-magics"]  # uv knows a folder by its pyproject alone
    subprocess.run([uv, "pip", "install", "-q", "--python", python, *packages], check=True)
    return python


def test_each_tool_is_found_and_answers(python: Path, tmp_path: Path) -> None:
    """All six by their names; a notebook is shown, checked and run; an error is an object."""
    cell = f"{MARKER}\n%reload_ext colab_magics\n%env_persist GREETING=hello"
    path = notebook(tmp_path / "nb.ipynb", cell, "import os; print(os.environ['GREETING'])")
    hand = notebook(tmp_path / "hand.ipynb", "!pip install numpy==2.1.3")
    calls: List[Any] = [
        ("setup_show", {"notebook": str(path)}),
        ("setup_check", {"notebook": str(path)}),
        ("setup_plan", {"notebook": str(path)}),
        ("setup_apply", {"notebook": str(hand), "dry_run": True}),
        ("setup_apply", {"notebook": str(hand)}),
        ("run_notebook", {"notebook": str(path), "timeout": 60}),
        ("session_info", {}),
        ("setup_show", {"notebook": str(tmp_path / "none.ipynb")}),
    ]
    results = _call(python, tmp_path, calls)
    show, check, plan, dry, applied, ran, session, missing = results
    assert "setup" in applied, applied
    assert {result["schema"] for result in results} == {1}, results
    assert [line["kind"] for line in show["lines"]] == ["env_persist"]
    assert check["lines"][0]["line"] == "%env_persist GREETING=hello"
    assert plan["effects"]["variables"] == ["GREETING=hello"]
    assert dry["setup"] == applied["setup"] == ["%pin numpy==2.1.3"]
    assert "%pin numpy==2.1.3" in hand.read_text()
    assert (ran["status"], [x["outcome"] for x in ran["cells"]]) == (0, ["ok", "ok"])
    assert shown(path)[1] == "hello\n"
    assert session["memory"]["total"] > 0
    assert (missing["status"], missing["error"]["code"]) == (1, "not-found")


def _call(python: Path, folder: Path, calls: List[Any]) -> List[Dict[str, Any]]:
    """Start a Jupyter server, call its tools, and end it."""
    port = _free_port()
    words = ["--ServerApp.port=0", "--no-browser", f"--MCPExtensionApp.mcp_port={port}"]
    words += ["--allow-root", "--ServerApp.jpserver_extensions=jupyter_server_mcp=True"]
    with (folder / "log").open("wb") as log:
        command = [str(python), "-m", "jupyter_server", *words]
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            done = subprocess.run(
                [python, "-c", _CLIENT, f"http://127.0.0.1:{port}/mcp", json.dumps(calls)],
                capture_output=True,
                text=True,
                timeout=200,
            )
        finally:
            server.terminate()
            server.wait(timeout=60)
    assert done.returncode == 0, done.stderr + (folder / "log").read_text()
    names, results = json.loads(done.stdout)
    tools = {"setup_show", "setup_check", "setup_plan", "setup_apply", "run_notebook"}
    assert tools | {"session_info"} <= set(names)
    return list(results)
