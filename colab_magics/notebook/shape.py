"""The shape of a notebook, as far as this package reads it: the nbformat 4 documentation."""

from __future__ import annotations

from typing import Any


def malformed(whole: Any) -> str:
    """Say what of a notebook is not as the format has it; empty: nothing that is read here.

    Keys that are unknown, or that only others read, may hold anything.
    """
    if not isinstance(whole, dict) or whole.get("nbformat") != 4:
        return "it does not say so"
    if not isinstance(whole.get("nbformat_minor", 0), int):
        return "nbformat_minor is no number"
    metadata = whole.get("metadata", {})
    if not isinstance(metadata, dict):
        return "metadata is no object"
    for key in ("kernelspec", "language_info"):
        if not isinstance(metadata.get(key, {}), dict):
            return f"metadata.{key} is no object"
    cells = whole.get("cells")
    if not isinstance(cells, list):
        return "cells is no list"
    return next(filter(None, map(_malformed_cell, range(1, len(cells) + 1), cells)), "")


def _malformed_cell(number: int, cell: Any) -> str:
    if not isinstance(cell, dict):
        return f"cell {number} is no object"
    source = cell.get("source", "")
    if not isinstance(source, str) and not (
        isinstance(source, list) and all(isinstance(line, str) for line in source)
    ):
        return f"the source of cell {number} is no text"
    if not isinstance(cell.get("metadata", {}), dict):
        return f"the metadata of cell {number} is no object"
    if not isinstance(cell.get("outputs", []), list):
        return f"the outputs of cell {number} are no list"
    return ""
