"""Where the kernel runs and what can be done there: capabilities, not names.

Sources: the environment variables of Colab (backend-info), Kaggle and Binder; the metadata that
front ends send with an execute request (Colab ``colab``, VS Code a ``vscode-notebook-cell:`` URI).
"""

from __future__ import annotations

import os
import sys
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Optional

from .errors import ColabMagicsError, usage_error
from .registry import load

#: Prefix of a recorded path -> the function that gives its root, or None where it is not there.
PLACES = {"drive": "colab_magics.drive.providers:default_root"}


class Context:
    """What a kernel knows of the notebook that runs; outside a kernel nothing is known."""

    def has_extension(self) -> bool:
        """Whether our front-end extension has identified itself in the window that asked."""
        return False

    def runs_on_server(self) -> bool:
        """Whether a Jupyter server has sent the running cell itself, and writes what it shows."""
        return False

    def notebook(self) -> Optional[Path]:
        """Return the notebook's file, or None where it is not known."""
        return None

    def clones(self) -> Iterable[Path]:
        """Return the folders that its lines clone, so that another machine has them too."""
        return ()

    def cell_steps(self, word: str) -> Iterable[Any]:
        """Return the steps of a kind in the setup cell that runs, if one does."""
        return ()

    def recorded_parts(self, word: str) -> Iterable[Any]:
        """Return each part of a kind of step that is recorded, or will be."""
        return ()

    def lock_for(self, step: Any) -> Any:
        """Return what holds a line of the running setup cell to exact versions, or None."""
        return None


class Host:
    """The machine and the front end, as steps see them.

    Typed paths count from where the kernel is (`spell_typed`). Recorded ones mean the same on every
    run: relative ones count from ``start``, the directory that the kernel started in. ``places``
    maps a prefix such as ``drive`` to a function that gives its root, or None where it is not
    there; ``mount_point`` is where the drive is mounted that ``drive:`` means, dead or alive, or
    None for the default.
    """

    def __init__(
        self, shell: Any = None, start: Optional[Path] = None, context: Optional[Context] = None
    ) -> None:
        self.shell = shell
        self.context = context or Context()
        self.start = start or Path(getattr(shell, "starting_dir", None) or Path.cwd())
        self.mount_point: Optional[Path] = None
        self.places: Dict[str, Callable[[], Optional[Path]]] = {
            prefix: partial(self._find_root, target) for prefix, target in PLACES.items()
        }

    def _find_root(self, target: str) -> Optional[Path]:
        root: Optional[Path] = load(target)(self)
        return root

    @cached_property
    def trust_key(self) -> Optional[Path]:
        """Where the key is by which this user's own lines are known; None: nowhere.

        Found once, so that no variable which a line sets leads elsewhere.
        """
        from .folders import user_path

        try:
            return user_path("config", "trust.key")
        except OSError:
            return None

    @property
    def colab(self) -> bool:
        """Whether this is a Colab machine; its browser is another question: see `person`."""
        return "COLAB_RELEASE_TAG" in os.environ

    @property
    def ephemeral(self) -> bool:
        """Whether the machine is wiped after a while, with all files on it."""
        wiped = ("COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "BINDER_SERVICE_HOST")
        return any(name in os.environ for name in wiped)

    @property
    def _kernel(self) -> Any:
        return getattr(self.shell, "kernel", None)

    @property
    def request(self) -> Dict[str, Any]:
        """The execute request that is being answered; empty outside a kernel."""
        get = getattr(self._kernel, "get_parent", None)
        return dict(get("shell") or {}) if get else {}

    @property
    def client(self) -> str:
        """The session of the client's messages, one for each open notebook."""
        return str(self.request.get("header", {}).get("session", ""))

    @property
    def may_ask(self) -> bool:
        """Whether standard input may be asked for; true does not prove that someone is there."""
        if self._kernel is None:
            return sys.stdin is not None and sys.stdin.isatty()
        return bool(self.request.get("content", {}).get("allow_stdin", False))

    @property
    def person(self) -> bool:
        """Whether Colab, VS Code, a terminal or our extension says that a person is there."""
        if not self.may_ask or self._kernel is None:
            return self.may_ask
        return self.colab_page or self.vscode or self.context.has_extension()

    @property
    def colab_page(self) -> bool:
        """Whether Colab's own page runs this cell and can be asked: it alone has its secrets."""
        return self.may_ask and "colab" in self.request.get("metadata", {})

    @property
    def vscode(self) -> bool:
        """Whether VS Code runs this cell, on whatever machine."""
        cell = str(self.request.get("metadata", {}).get("cellId", ""))
        return cell.startswith("vscode-notebook-cell:")

    @property
    def live(self) -> bool:
        """Whether an output may be updated in place.

        Executors compare outputs, and a server that runs the cells loses updates.
        """
        return self._kernel is not None and self.may_ask and not self.context.runs_on_server()

    @property
    def cwd(self) -> Optional[Path]:
        """The current directory, or None where it has vanished."""
        try:
            return Path.cwd()
        except OSError:
            return None

    def resolve(self, spec: str) -> Path:
        """Return the path that a recorded line means: see `spell` for the way back.

        ``drive:x`` is under the drive, ``~/x`` under home, a relative path under `start`.
        """
        prefix, colon, rest = spec.partition(":")
        if colon and prefix in self.places:
            root = self.places[prefix]()
            if root is None:
                raise ColabMagicsError(
                    f"{spec}: no {prefix} is there.",
                    f"First: %{prefix} mount, or edit this line.",
                    code="not-mounted",
                )
            return root / rest.lstrip("/") if rest.strip("/") else root
        if spec.startswith("~"):
            try:
                return Path(spec).expanduser()
            except RuntimeError:
                raise usage_error(f"{spec}: there is no such user.", "Write ~/folder.") from None
        return Path(os.path.normpath(self.start / spec))

    def spell(self, path: Path) -> str:
        """Return a path as it should be recorded, so that it survives another machine."""
        roots = [(f"{prefix}:", find()) for prefix, find in self.places.items()]
        for prefix, root in [*roots, ("", self.start), ("~/", Path.home())]:
            if root is not None and (path == root or root in path.parents):
                relative = path.relative_to(root).as_posix()
                if relative == ".":
                    return {"": ".", "~/": "~"}.get(prefix, prefix)
                is_unclear = not prefix and (relative[0] in "-~" or self.is_fixed(relative))
                return f"./{relative}" if is_unclear else prefix + relative
        return str(path)

    def spell_typed(self, text: str, base: Optional[Path] = None) -> str:
        """Return a typed path as it is recorded: it counts from ``base``, or where the kernel is.

        A path that says itself where it counts from, such as ``drive:x``, stays as it is.
        """
        if self.is_fixed(text):
            return text
        return self.spell(Path(os.path.normpath((base or self._here()) / text)))

    def _here(self) -> Path:
        """Return the current directory; the system names it without the links that lead to it."""
        here = self.cwd or self.start
        for root in (find() for find in self.places.values()):
            folder = Path(os.path.realpath(root)) if root is not None else None
            if root is not None and folder is not None and folder in (here, *here.parents):
                return root / here.relative_to(folder)
        return here

    def spell_here(self, path: Path) -> str:
        """Return how to type a path where the kernel is."""
        spelled = self.spell(path)
        is_relative = not (self.is_fixed(spelled) or Path(spelled).is_absolute())
        return os.path.relpath(path, self.cwd or self.start) if is_relative else spelled

    def is_fixed(self, text: str) -> bool:
        """Whether a path begins with home or a place such as ``drive:``, or is a URL."""
        prefix, colon, _ = text.partition(":")
        return text.startswith("~") or "://" in text or (bool(colon) and prefix in self.places)
