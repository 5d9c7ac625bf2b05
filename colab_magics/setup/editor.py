"""``%setup editor`` as a step: theme, indent, font size and line numbers of JupyterLab's page.

They are settings of a person's front end, which the extension reads and sets. Where no page of
JupyterLab or Notebook runs the cell, nothing is set, and that is no error.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Dict, FrozenSet, Mapping, Optional, Tuple

from ..core.arguments import Choice, Parser, find_meant
from ..core.effects import Effects
from ..core.errors import ColabMagicsError, usage_error
from ..core.host import Host
from ..core.menus import menu
from ..core.steps import Outcome, Progress, Step, Verdict
from ..notebook.comm import ask

#: Font sizes in pixels; the extension has the same bounds.
SMALLEST, LARGEST = 6, 48
_SWITCH = {"on": True, "off": False}


@dataclass(frozen=True)
class EditorStep(Step):
    """Settings of the page; None for those that the line leaves alone."""

    theme: Optional[str] = None
    indent: Optional[int] = None
    font_size: Optional[int] = None
    line_numbers: Optional[bool] = None

    word: ClassVar[str] = "setup"
    rank: ClassVar[int] = 95
    asks_page: ClassVar[bool] = True

    @property
    def values(self) -> Dict[str, Any]:
        """The settings that the line names, as the extension takes them."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in every.items() if value is not None}

    def arguments(self) -> Tuple[str, ...]:
        """See `Step`."""
        words = ["editor"]
        for name, value in self.values.items():
            words += [f"--{name.replace('_', '-')}", show_value(value)]
        return tuple(words)

    @property
    def keys(self) -> FrozenSet[str]:
        """See `Step`."""
        return frozenset({"editor"})

    def merged_with(self, other: Step) -> Optional[Step]:
        """See `Step`."""
        return replace(self, **other.values) if isinstance(other, EditorStep) else None

    def effects(self, host: Host) -> Effects:
        """See `Step`: the page alone."""
        return Effects()

    def check(self, host: Host) -> Verdict:
        """See `Step`."""
        obstacle = elsewhere(host)
        if obstacle:
            return Verdict("unknown", obstacle)
        page = ask_page(host)
        wanted = dict(self.values)
        if wanted.get("theme") in ("dark", "light"):
            wanted["theme"] = f"JupyterLab {wanted['theme'].title()}"
        names = [name for name, value in wanted.items() if page[name] != value]
        if not names:
            return Verdict("ok", f"The editor already has {describe(page, wanted)}.")
        return Verdict("differs", f"The editor has {describe(page, names)}.")

    def apply(self, host: Host, progress: Progress) -> Outcome:
        """See `Step`."""
        obstacle = elsewhere(host)
        if obstacle:
            return Outcome("unchanged", obstacle, self)
        page = ask_page(host, values=self.values)
        done = f"Editor: {describe(page, self.values)} - undo: %setup editor --reset"
        return Outcome("applied", done, self)


def elsewhere(host: Host) -> str:
    """Return why these settings cannot be set from here; empty where they can."""
    if host.colab_page or host.vscode:
        return f"The editor's settings are in the menu: {menu(host, 'editor')}"
    if host.context.has_extension():
        return ""
    return "No page of JupyterLab or Notebook runs this: its editor's settings are left alone."


def ask_page(host: Host, **data: Any) -> Dict[str, Any]:
    """Return the settings of the page, after ``values`` are set or ``reset`` has put them back."""
    answer = ask(host, "editor", **data) or {"status": "silent"}
    theme = str(data.get("values", {}).get("theme", ""))
    if answer["status"] == "refused" and theme:
        names = [str(name) for name in answer.get("themes", ())]
        raise usage_error(
            f"%setup editor: there is no theme {theme}.",
            f"There are: dark, light, {', '.join(names)}.",
            code="unknown-choice",
            slip=find_meant(theme, names),
        )
    if answer["status"] != "ok":
        raise ColabMagicsError(
            f"The page did not take the settings ({answer['status']}).",
            "Reload the page, and run this again.",
            code=f"page-{answer['status']}",
        )
    indent = answer["indent"]  # a text in JupyterLab
    return {**answer, "indent": int(indent) if str(indent).isdecimal() else indent}


def describe(page: Mapping[str, Any], names: Any) -> str:
    """Return settings of the page in words: ``font size 14, line numbers on``."""
    return ", ".join(f"{name.replace('_', ' ')} {show_value(page[name])}" for name in names)


def show_value(value: Any) -> str:
    """Return a setting in a word; None is what the page takes where nothing is set."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "default" if value is None else str(value)


def _size(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and SMALLEST <= int(text[:4]) <= LARGEST):
        raise argparse.ArgumentTypeError(f"{text} is not a size from {SMALLEST} to {LARGEST}")
    return int(text)


def add_options(parser: Parser) -> None:
    """Add the options of ``%setup editor``."""
    parser.add_argument("--theme", metavar="NAME", help="dark, light, or a theme of the page")
    indents = Choice(parser.prog, "indent", ("1", "2", "4", "8"))
    parser.add_argument("--indent", type=indents, metavar="N", help="spaces: 1, 2, 4 or 8")
    parser.add_argument(
        "--font-size", type=_size, metavar="N", help=f"of code cells: {SMALLEST} to {LARGEST}"
    )
    switch = Choice(parser.prog, "state", tuple(_SWITCH))
    parser.add_argument("--line-numbers", type=switch, metavar="on|off", help="in code cells")
    parser.add_argument("--reset", action="store_true", help="put back what stood before")
    parser.add_argument(
        "--record", action="store_true", help="keep the line in the setup cell, for everyone"
    )


def step_of(arguments: argparse.Namespace) -> Optional[EditorStep]:
    """Return the step of a line's arguments, or None where it sets nothing."""
    indent, numbers = arguments.indent, arguments.line_numbers
    step = EditorStep(
        theme=arguments.theme,
        indent=int(indent) if indent else None,
        font_size=arguments.font_size,
        line_numbers=_SWITCH[numbers] if numbers else None,
    )
    if step.values and arguments.reset:
        raise usage_error("%setup editor --reset takes no other setting.", "Run them one by one.")
    return step if step.values else None
