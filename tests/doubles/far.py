"""Remotes of rclone that are on this machine: a folder, and what rclone itself serves."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator, List

NAME = "far"


def programs() -> Dict[str, str]:
    """Each rclone that is installed, by where it is from: the system's, the registry's."""
    beside = str(Path(sys.executable).parent)
    elsewhere = [one for one in os.get_exec_path() if one != beside]
    found = {
        "system": shutil.which("rclone", path=os.pathsep.join(elsewhere)),
        "registry": shutil.which("rclone", path=beside),
    }
    return {name: path for name, path in found.items() if path}


def missing() -> str:
    """Why nothing can be mounted here; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "elsewhere: rclone mounts only on Linux here"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "elsewhere: this machine has no FUSE"
    if not programs():
        return "rclone is not installed"
    return "" if shutil.which("fusermount3") else "fuse3 is not installed"


def configure(path: Path, **remotes: Dict[str, str]) -> None:
    """Write a configuration: a section for each remote."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines: List[str] = []
    for name, fields in remotes.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in fields.items()), ""]
    path.write_text("\n".join(lines))


def folder(path: Path) -> Dict[str, str]:
    """A remote that is a folder."""
    path.mkdir(parents=True, exist_ok=True)
    return {"type": "alias", "remote": str(path)}


@contextmanager
def served(
    program: str, kind: str, path: Path, password: str = "", at: str = ""
) -> Iterator[Dict[str, str]]:
    """A remote that this rclone serves from a folder on loopback: ``webdav`` or ``s3``; with a
    password, and at the place of an earlier one, where that is wanted.
    """
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = at.replace("http://", "") or f"127.0.0.1:{one.getsockname()[1]}"
    command = [program, "serve", kind, str(path), "--addr", address]
    fields = {"type": kind, "url": f"http://{address}", "vendor": "other"}
    if password:
        command += ["--user", "me", "--pass", password]
        hidden = subprocess.run([program, "obscure", password], stdout=subprocess.PIPE, check=True)
        fields.update(user="me", **{"pass": hidden.stdout.decode().strip()})
    if kind == "s3":
        command += ["--auth-key", "access,secret"]
        fields = {"type": "s3", "provider": "Rclone", "endpoint": f"http://{address}"}
        fields.update(access_key_id="access", secret_access_key="secret")
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        host, port = address.split(":")
        for _ in range(500):
            try:
                socket.create_connection((host, int(port)), 0.1).close()
                break
            except OSError:
                time.sleep(0.01)
        try:
            yield fields
        finally:
            process.kill()


def mounts(below: Path) -> List[str]:
    """What is mounted below a folder."""
    lines = Path("/proc/mounts").read_text().splitlines()
    return [line.split()[1] for line in lines if line.split()[1].startswith(f"{below}/")]


def processes(below: Path) -> List[int]:
    """The rclones that mount something below a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"mount" in words and any(word.startswith(os.fsencode(below)) for word in words):
            found.append(int(place.parent.name))
    return found


def end(below: Path) -> None:
    """Take away all mounts below a folder, and their processes."""
    for pid in processes(below):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for place in mounts(below):
        subprocess.run(["fusermount3", "-uz", place], check=False, capture_output=True)
