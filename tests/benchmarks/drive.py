"""What the drive costs by rclone, beside rclone by itself, in the same run.

``python tests/benchmarks/drive.py`` prints milliseconds: how it stands, healthy and dead (promised:
under 50), a mount that is ready and proved, and bringing one back.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from timing import milliseconds

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main() -> None:
    """Everything on a remote that is a folder."""
    from doubles import far
    from IPython.core.interactiveshell import InteractiveShell

    from colab_magics.core.host import Host
    from colab_magics.drive.rclone.mount import Mount
    from colab_magics.drive.step import find_mounted

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ.update(RCLONE_CONFIG=f"{home}/rclone.conf", XDG_CACHE_HOME=f"{home}/cache")
        far.configure(home / "rclone.conf", far=far.folder(home / "far"))
        files = home / "drive" / "MyDrive"
        files.mkdir(parents=True)
        mount, host = Mount(files, "far:"), Host(None, home)

        def ours() -> None:
            mount.drop()
            mount.start()

        def theirs() -> None:
            far.end(home)
            command = ["rclone", "mount", "far:", str(files), "--vfs-cache-mode", "full"]
            subprocess.Popen([*command, "--cache-dir", f"{home}/other"])
            while not far.mounts(home):
                time.sleep(0.002)

        try:
            one, other = milliseconds(ours), milliseconds(theirs)
            print(
                f"mounted, proved by listing: {one:.0f} ms; rclone by itself, there: {other:.0f} ms"
            )
            far.end(home)
            ours()
            alive = milliseconds(lambda: find_mounted(host, home / "drive"))
            shell = InteractiveShell.instance()
            shell.run_line_magic("load_ext", "colab_magics")
            os.environ["HOME"] = str(home)
            with redirect_stdout(StringIO()):
                whole = milliseconds(lambda: shell.run_line_magic("drive", ""))
            print(f"%drive, the whole magic, healthy: {whole:.1f} ms (promised: under 50)")
            for pid in far.processes(home):
                os.kill(pid, 9)
            dead = milliseconds(lambda: find_mounted(host, home / "drive"))
            print(
                f"how it stands, healthy: {alive:.1f} ms, dead: {dead:.1f} ms (promised: under 50)"
            )
        finally:
            far.end(home)


if __name__ == "__main__":
    main()
