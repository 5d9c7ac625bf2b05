"""Take pictures of what the magics show: in JupyterLab and Notebook 7, on light and dark pages.

    python docs/pictures.py [FOLDER] [--only SCENE ...] [--app lab|notebook]
    python docs/pictures.py --pages

It needs the extras ``lab``, ``browser`` and ``test``, Chromium, a C compiler, and the wheel
installed. A real server and real kernels run each scene; the GPU's driver and the package index are
the doubles of the tests. The pictures are ``FOLDER/SCENE-APP-THEME.png``.

``--pages`` takes those that the pages of the documentation show, ``docs/NAME.png`` and
``docs/NAME-dark.png``, and needs Pillow too. On the site each page shows the one of its theme.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, Sequence, Tuple

from uv import find_uv_bin

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from doubles import nvml  # noqa: E402
from doubles.index import make_wheel, serve  # noqa: E402
from support.kernels import environment, register  # noqa: E402
from support.notebooks import notebook  # noqa: E402
from support.window import CHROMIUM, KERNEL, LOAD, Server, Window, until  # noqa: E402

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
APPS = ("lab", "notebook")
WIDTH = 1000
#: The name of the kernel: that of "python3" would be the server's own Python.
KIND = "pictures"
#: What is installed from the index.
PACKAGES = ("tinypkg", "tinyother", "tinyapp")

#: Cells by scene. A scene runs in a kernel and a notebook of its own.
SCENES: Dict[str, Tuple[str, ...]] = {
    "gpu": (f"{LOAD}\n%gpu", "%gpu -v", "%gpu require H100"),
    "gpu-cost": (f"{LOAD}\n%gpu -q", "from model import fit", "%%gpu\nfit(40)", "%gpu free"),
    "first": (
        LOAD,
        "%drive mount --provider folder",
        "%cd_persist drive:project --make",
        "%pin tinypkg==1.0",
        "%setup",
    ),
    "jobs": (
        LOAD,
        "%shell --background train echo epoch 1; echo loss 0.93; sleep 600",
        "%shell --background convert echo no such file; exit 3",
        "%shell --background export echo 812 rows written\n%jobs wait export",
        "%jobs wait convert",
        "%jobs",
        "%jobs stop train",
    ),
    "session": (LOAD, "%session", "%session list"),
    "setup": (
        "# colab_magics:setup v1\n%reload_ext colab_magics\n%pin tinypkg==1.0 tinyother==1.0\n"
        "%drive mount --provider folder\n%env_persist MODE=fast\n!echo of the user\n"
        "%cd_persist drive:project --make",
        "%setup",
        "%setup where",
        "import os; os.environ['MODE'] = 'slow'",
        "%setup check",
        "%pin",
        "%env_persist",
        "%drive",
    ),
    "pin": (
        LOAD,
        "%pin tinyapp==1.0",
        "%pin tinyapp==1.0",
        "%pin tinyapp==9.0",
        "%pin",
        "%pin --dry-run tinyapp==2.0",
    ),
    "restart": (f"{LOAD}\n%pin tinypkg==1.0", "import tinypkg", "%pin tinypkg==2.0"),
    "others": (
        LOAD,
        "%env_persist MODE=fast LEVEL=3\n%env_persist",
        "%fetch {url}tinypkg/ data/page.html\n%fetch",
        "%drive mount --provider folder\n%drive",
        "%cd_persist drive:project --make",
        "%secret list",
        "%apt",
    ),
    "checkpoint": (
        "# colab_magics:setup v1\n%reload_ext colab_magics\n%drive mount --provider folder\n"
        "%checkpoint",
        "import random\nrows = [random.gauss(20, 4) for _ in range(100_000)]\n"
        "print(len(rows), 'rows')",
        "mean = sum(rows) / len(rows)\nprint(f'mean {mean:.1f}')",
        "warm = [row for row in rows if row > mean]\nprint(len(warm), 'above the mean')",
    ),
    "help": (LOAD, "%gpu --help", "%setup help"),
    "wrong": (LOAD, "%gpu requre", "%pin numpy=2.2.6", "%jobs log nothing", "%session list --jsn"),
}
#: The pictures that pages show, each with its scene and its front end.
SHOWN = {
    "jupyterlab": ("first", "lab"),
    "notebook7": ("first", "notebook"),
    "restart": ("restart", "lab"),
    "checkpoint": ("checkpoint", "lab"),
    "cost": ("gpu-cost", "lab"),
}
#: A scene, and its cell before which the kernel is restarted: the setup cell runs, and no other.
CUT = ("checkpoint", 3)


def main() -> None:
    """Run the scenes in each front end, and take two pictures of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--only", nargs="*", choices=SCENES, default=[*SCENES])
    parser.add_argument(
        "--app", choices=("lab", "notebook"), nargs="*", default=["lab", "notebook"]
    )
    parser.add_argument("--pages", action="store_true", help="those that docs/*.md show")
    options = parser.parse_args()
    if options.pages:
        with tempfile.TemporaryDirectory() as folder:
            take_all(Path(folder), [*SHOWN.values()])
            for name, (scene, app) in SHOWN.items():
                for theme, end in (("light", ""), ("dark", "-dark")):
                    place = ROOT / "docs" / f"{name}{end}.png"
                    save_small(Path(folder, f"{scene}-{app}-{theme}.png"), place)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    take_all(options.folder, [(scene, app) for app in options.app for scene in options.only])


def take_all(folder: Path, scenes: Sequence[Tuple[str, str]]) -> None:
    """Run scenes in their front ends, with one index and one environment."""
    with tempfile.TemporaryDirectory() as place, serve(make_index(Path(place))) as url:
        variables = make_variables(Path(place), url)
        python = environment("ipykernel-newest", Path(place) / "kernel")
        for scene, app in scenes:
            remove_packages(python)
            work = Path(place, app, scene)
            for part in ("work", "home/data"):
                (work / part).mkdir(parents=True)
            model = nvml.SAMPLED.replace("sampled", "fit")
            (work / "work" / "model.py").write_text(model, encoding="utf-8")
            register(KIND, python, work / "home" / "data", variables)
            take(Server(app, work / "work", work / "home"), scene, folder, url)
            shutil.rmtree(work)  # or the next scene says that this notebook has other pins


def save_small(source: Path, target: Path) -> None:
    """Write a picture with 256 colours, the rare ones of code among them: half of its bytes."""
    from PIL import Image

    ways = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}
    Image.open(source).convert("RGB").quantize(256, **ways).save(target, optimize=True)
    print(target)


def make_index(place: Path) -> Path:
    """Make packages of a few lines, in two versions."""
    folder = place / "index"
    for version in ("1.0", "2.0"):
        make_wheel(folder, "tinypkg", version)
        make_wheel(folder, "tinyother", version)
        requires = [f"tinypkg=={version}", "tinyother"]
        make_wheel(folder, "tinyapp", version, requires=requires)
    return folder


def make_variables(place: Path, url: str) -> Dict[str, str]:
    """Return the environment of the kernels: a GPU that works hard, and that index."""
    library = place / "nvml"
    library.mkdir()
    variables = nvml.environment(nvml.build(library), "busy")
    (place / "nvml.log").touch()
    return {
        "LD_LIBRARY_PATH": variables["LD_LIBRARY_PATH"],
        "FAKE_NVML": variables["FAKE_NVML"],
        "FAKE_NVML_LOG": str(place / "nvml.log"),
        "PIP_INDEX_URL": url,
        "PIP_CONFIG_FILE": os.devnull,
    }


def remove_packages(python: Path) -> None:
    """Take out what the scene before has installed."""
    command = [find_uv_bin(), "pip", "uninstall", "-q", "--python", str(python)]
    subprocess.run([*command, *PACKAGES], check=True)


def take(server: Server, scene: str, folder: Path, url: str) -> None:
    """Run a scene in a front end, and take its pictures."""
    try:
        server.start()
        cells = [cell.replace("{url}", url) for cell in SCENES[scene]]
        spec = {**KERNEL["kernelspec"], "name": KIND}
        path = notebook(server.folder / f"{scene}.ipynb", *cells, kernelspec=spec)
        for browser in open_browser():
            page = browser.new_page(viewport={"width": WIDTH, "height": 2200})
            window = Window(server, page, path)
            window.js("app.shell.collapseLeft?.()")
            for at in range(len(cells)):
                if (scene, at) == CUT:
                    restart(window)
                    run(window, 0, len(cells))
                    break
                run(window, at, len(cells))
            for theme in THEMES:
                picture(window, theme, folder / f"{scene}-{server.app}-{theme}.png")
    finally:
        server.stop()


def run(window: Window, at: int, count: int) -> None:
    """Run a cell; a setup cell may have been put above it meanwhile."""
    place = at + len(window.texts) - count
    identity = window.start(place)
    until(lambda: window.ended(identity), f"cell {place} ends", 120)


def restart(window: Window) -> None:
    """Restart the kernel, and wait for the new one."""
    window.js("return panel.sessionContext.session.kernel.restart()")
    until(window.idle, "the kernel is idle")


def picture(window: Window, theme: str, path: Path) -> None:
    """Take a picture of the notebook in a theme, without what is around it."""
    window.js(
        "return app.commands.execute('apputils:change-theme', {theme: argument})", THEMES[theme]
    )
    light = "true" if theme == "light" else "false"
    window.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
    window.page.mouse.move(0, 0)
    window.page.wait_for_timeout(500)  # the theme's fade
    last = window.page.locator(".jp-Notebook .jp-Cell").last.bounding_box()
    area = window.page.locator(".jp-Notebook").first.bounding_box()
    height = last["y"] + last["height"] - area["y"] + 12
    window.page.screenshot(path=path, clip={**area, "height": height})
    print(path)


def open_browser() -> Iterator[Any]:
    """Start Chromium for one scene."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found, args=CHROMIUM)
        yield browser
        browser.close()


if __name__ == "__main__":
    main()
