"""Make docs/moving.gif: a notebook in JupyterLab, its machine wiped, and one run that restores it.

    python -m pip install "dist/NAME.whl[lab,browser]" pillow uv
    python docs/moving_picture.py dist/NAME.whl

All that the picture shows happens: JupyterLab and its extension come from the wheel, the kernel has
an environment of its own, and the wipe deletes that. The packages come from PyPI once, and then
from an index on loopback, which has the wheel as well. Needs Chromium.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Tuple

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from doubles.index import serve  # noqa: E402
from support.notebooks import notebook  # noqa: E402
from support.window import CHROMIUM, Server, Window  # noqa: E402

PINS = ("numpy==2.1.3", "pandas==2.2.3")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "machine"}
CELLS = ("%load_ext colab_magics", "", "", "import pandas\npandas.__version__")
SIZE = {"width": 900, "height": 620}
#: A cursor that blinks would make frames differ.
STYLE = ".cm-cursorLayer { animation: none !important }"
#: The strip below the page that says what is to be seen.
STRIP, BLUE = 48, (27, 58, 87)


class Film:
    """The frames, each with how long it is shown; the same frame again only lasts longer."""

    def __init__(self) -> None:
        self.caption = ""
        self.frames: List[Tuple[Image.Image, int]] = []

    def take(self, page: Any, seconds: float, dark: bool = False) -> None:
        """Add what the page shows now, with the caption below it."""
        screen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        image = Image.new("RGB", (screen.width, screen.height + STRIP), BLUE)
        image.paste(screen.point(lambda value: value // 5) if dark else screen)
        place = (screen.width // 2, screen.height + STRIP // 2)
        font = ImageFont.load_default(22)
        ImageDraw.Draw(image).text(place, self.caption, "white", font, anchor="mm")
        if self.frames and self.frames[-1][0].tobytes() == image.tobytes():
            last, shown = self.frames.pop()
            self.frames.append((last, min(shown + int(seconds * 1000), 2500)))
        else:
            self.frames.append((image, int(seconds * 1000)))

    def save(self, path: Path) -> None:
        """Write a GIF whose frames share their colours."""
        first = self.frames[0][0]
        sheet = Image.new("RGB", (first.width, first.height * 4))
        for at in range(4):
            frame = self.frames[(len(self.frames) - 1) * (at + 1) // 4][0]
            sheet.paste(frame, (0, first.height * at))
        colours = sheet.quantize(96, method=Image.Quantize.MEDIANCUT)
        no = Image.Dither.NONE
        images = [image.quantize(palette=colours, dither=no) for image, _ in self.frames]
        times = [shown for _, shown in self.frames]
        images[0].save(path, save_all=True, append_images=images[1:], duration=times, loop=0)


class Scene:
    """A window on the notebook, filmed."""

    def __init__(self, film: Film, window: Window) -> None:
        self.film, self.window, self.page = film, window, window.page
        self.page.add_style_tag(content=STYLE)
        window.js("await app.commands.execute('application:set-mode', {mode: 'single-document'})")
        window.js("if (!app.shell.leftCollapsed) app.shell.collapseLeft()")
        self.page.wait_for_timeout(600)

    def caption(self, text: str, seconds: float) -> None:
        """Say below what is to be seen."""
        self.film.caption = text
        self.film.take(self.page, seconds)

    def show(self, at: int, seconds: float) -> None:
        """Bring a cell into view."""
        self.window.js("panel.content.widgets[argument].node.scrollIntoView()", at)
        self.film.take(self.page, seconds)

    def type(self, at: int, text: str) -> None:
        """Type into a cell, some letters a frame."""
        for start in range(0, len(text), 4):
            self.window.type(at, text[start : start + 4])
            self.film.take(self.page, 0.12)

    def run(self, at: int, seconds: float) -> None:
        """Run a cell and film it until it has ended."""
        identity = self.window.start(at)
        end = time.monotonic() + 120
        while not self.window.ended(identity):
            assert time.monotonic() < end, self.window.shown(identity)  # noqa: S101
            self.film.take(self.page, 0.15)
        self.page.wait_for_timeout(1000)
        self.film.take(self.page, seconds)


def call(*command: object) -> None:
    """Run a command that must succeed."""
    subprocess.run([str(word) for word in command], check=True)


def make_environment(folder: Path, wheel: Path) -> Path:
    """What a machine of a host has: Python and Jupyter's kernel, and nothing of ours."""
    shutil.rmtree(folder, ignore_errors=True)
    call("uv", "venv", "-q", "--seed", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    keep = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith("PIP_")}
    call("uv", "pip", "install", "-q", "--python", python, wheel)
    call("uv", "pip", "uninstall", "-q", "--python", python, "colab-magics")
    os.environ.update(keep)
    return python


@contextmanager
def machine(folder: Path, wheel: Path) -> Iterator[Tuple[Server, Path]]:
    """A JupyterLab whose kernel has an environment of its own, and the index of both."""
    shelf = folder / "shelf"
    call(sys.executable, "-m", "pip", "download", "-q", "-d", shelf, *PINS)
    shutil.copy(wheel, shelf)
    server = Server("lab", folder / "work", folder / "home")
    server.folder.mkdir()
    spec = server.data / "kernels/machine/kernel.json"
    spec.parent.mkdir(parents=True)
    python = make_environment(folder / "environment", wheel)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "Python 3", "language": "python"}
    spec.write_text(json.dumps(kernel), encoding="utf-8")
    with serve(shelf) as index:
        os.environ.update(PIP_INDEX_URL=index, PIP_CONFIG_FILE=os.devnull)
        call(python, "-m", "pip", "install", "-q", "colab-magics")
        server.start()
        try:
            yield server, python
        finally:
            server.stop()


def first_day(film: Film, window: Window) -> None:
    """Magics are typed and run; their lines appear in the setup cell."""
    scene = Scene(film, window)
    scene.caption("1. Type a magic and run it", 1.2)
    scene.run(0, 0.3)
    scene.type(1, f"%pin {' '.join(PINS)}")
    scene.run(1, 0.5)
    scene.show(0, 0.5)
    scene.caption("2. A setup cell appears on top: it has your line", 3)
    scene.type(3, "%cd_persist project")
    scene.run(3, 0.5)
    scene.show(0, 0.5)
    scene.caption("3. The next magic adds its line", 2.5)
    window.save()
    film.caption = "4. The machine is wiped: its packages are gone"
    film.take(scene.page, 2.5, dark=True)


def next_day(film: Film, window: Window) -> None:
    """On the new machine one run of the setup cell brings all back."""
    scene = Scene(film, window)
    scene.show(0, 0.3)
    scene.caption("5. Next day, a new machine. Run the setup cell", 2)
    scene.run(0, 0.5)
    scene.caption("Everything is back", 2)
    scene.run(4, 4)


def main() -> None:
    """Film both days."""
    wheel = Path(sys.argv[1]).resolve()
    film = Film()
    with tempfile.TemporaryDirectory() as place, sync_playwright() as player:
        folder = Path(place)
        with machine(folder, wheel) as (server, python):
            path = notebook(server.folder / "analysis.ipynb", *CELLS, kernelspec=KERNEL)
            (server.folder / "project").mkdir()
            chromium = shutil.which("chromium") or shutil.which("google-chrome")
            browser = player.chromium.launch(executable_path=chromium, args=CHROMIUM)
            first_day(film, Window(server, browser.new_page(viewport=SIZE), path))
            server.end_kernels()
            make_environment(python.parent.parent, wheel)
            next_day(film, Window(server, browser.new_page(viewport=SIZE), path))
            browser.close()
    film.save(DOCS / "moving.gif")


if __name__ == "__main__":
    main()
