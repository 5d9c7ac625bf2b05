"""``pep723``: a script with its needs in its head (PEP 723), for uv, juv and HF Jobs."""

from __future__ import annotations

from typing import Any, Dict, List

from .formats import File, Format, NotHeld
from .plain import Plain
from .recipe import Code, Pins, Recipe


class Script(Plain):
    """The pins in the head, in the script what plain Python can do.

    An index that not all lines have is that of the packages of its own lines alone.
    """

    name = "pep723"
    path = "setup.py"
    options = frozenset(("--index-url", "--extra-index-url", "--find-links", "--pre", "--as-of"))

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self._indexes: Dict[str, Dict[str, Any]] = {}
        self._sources: Dict[str, Dict[str, str]] = {}
        self._settings: Dict[str, Any] = {}

    def _add_pin(self, pins: Pins) -> None:
        if pins.folders or pins.hashed:
            raise NotHeld("folder" if pins.folders else "hashes", "the head has no place for it")
        is_main = self.group_of(pins) == self.main
        more = {option for option, _ in pins.options} - {"--index-url", "--index-auth"}
        if more and not is_main:
            raise NotHeld("other-options", "one set of options is for all: see shell, dockerfile")
        Format._add_pin(self, pins)
        for url in (*pins.values("--index-url"), *pins.values("--extra-index-url")):
            is_default = url in pins.values("--index-url")
            self._add_index(url, pins, is_default and "default" if is_main else "explicit")
        links, days = pins.values("--find-links"), pins.values("--as-of")
        self._settings.update({"find-links": list(links)} if links else {})
        self._settings.update({"exclude-newer": days[0]} if days else {})
        self._settings.update({"prerelease": "allow"} if pins.values("--pre") else {})

    def _add_index(self, url: str, pins: Pins, kind: Any) -> None:
        from packaging.requirements import Requirement

        index = {"name": f"index-{len(self._indexes) + 1}", "url": url}
        index = self._indexes.setdefault(url, {**index, **({kind: True} if kind else {})})
        needs = map(Requirement, pins.requirements) if kind == "explicit" else ()
        self._sources.update({x.name: {"index": index["name"]} for x in needs if not x.url})

    def _add_code(self, item: Code) -> None:
        if item.text.lstrip().startswith(("%", "!")):
            self.refuse(item)
        super()._add_code(item)

    def files(self) -> List[File]:
        """See `Format`."""
        import tomli_w

        head: Dict[str, Any] = {"dependencies": self.requirements}
        if self.recipe.python:
            head = {"requires-python": f"=={self.recipe.python}.*", **head}
        more = {"sources": self._sources, "index": [*self._indexes.values()]}
        tool = {**self._settings, **{key: value for key, value in more.items() if value}}
        head.update({"tool": {"uv": tool}} if tool else {})
        lines = (f"# {line}".rstrip() for line in tomli_w.dumps(head).splitlines())
        return [(self.path, "\n".join(["# /// script", *lines, "# ///", *self.lines]) + "\n")]
