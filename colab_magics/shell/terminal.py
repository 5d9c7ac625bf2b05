"""What a terminal would show of one line: carriage returns, erasing and colours understood."""

import re
from typing import List, Tuple


#: What a line holds: a control sequence (its parameters and its letter), a title, or text.
_TOKEN = re.compile(
    r"\x1b\[([0-9;?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].|\x1b[^\[\]]?"
    r"|\r|\x08|[^\x1b\r\x08]+"
)
#: What is to be understood before it is shown: all control characters but tabs and colours.
_TO_SETTLE = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9;]*m)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
#: A sequence of which the end has not come yet.
_BROKEN_OFF = re.compile(r"\x1b(\[[0-9;?]*|\][^\x07\x1b]*)?$")

Cell = Tuple[str, str]


def drawn(line: str) -> str:
    """A line as it is to be shown; most are so already."""
    return settle(line) if _TO_SETTLE.search(line) else line


def plain(line: str) -> str:
    """The text of a line, without colours."""
    return "".join(char for char, _ in _cells(line))


def settle(line: str) -> str:
    """What is seen at last of a line that was written over; its colours are kept."""
    cells = _cells(line)
    while cells and cells[-1] == (" ", ""):
        cells.pop()
    text, colour = [], ""
    for char, wanted in cells:
        if wanted != colour:
            text.append(("\x1b[0m" if colour else "") + wanted)
            colour = wanted
        text.append(char)
    return "".join(text) + ("\x1b[0m" if colour else "")


def _cells(line: str) -> List[Cell]:
    """The characters of a line, each with its colour."""
    cells: List[Cell] = []
    at, colour = 0, ""
    for token in _TOKEN.finditer(_BROKEN_OFF.sub("", line)):
        text, letter = token.group(), token.group(2)
        if text == "\r":
            at = 0
        elif text == "\b":
            at = max(0, at - 1)
        elif letter == "m":
            colour = "" if token.group(1).strip("0;") == "" else _recoloured(colour, text)
        elif letter:
            at = _moved(cells, at, token.group(1), letter)
        elif text[0] != "\x1b":
            text = _CONTROL.sub("", text)
            cells += [(" ", "")] * (at - len(cells))
            cells[at : at + len(text)] = [(char, colour) for char in text]
            at += len(text)
    return cells


def _recoloured(before: str, sequence: str) -> str:
    """The colour after a sequence: one that begins with a 0 forgets what was before it."""
    return sequence if re.match(r"\x1b\[0*;", sequence) else before + sequence


def _moved(cells: List[Cell], at: int, parameters: str, letter: str) -> int:
    """Erase or move, as a control sequence says; gives where the next character goes."""
    number = int(parameters) if parameters.isdigit() else 0
    if letter == "K" and number == 0:
        del cells[at:]
    elif letter == "K":
        end = at + 1 if number == 1 else len(cells)
        cells[:end] = [(" ", "")] * len(cells[:end])
    elif letter == "G":
        return max(0, min(number, 1000) - 1)
    elif letter == "C":
        return at + min(number or 1, 1000)
    elif letter == "D":
        return max(0, at - (number or 1))
    return at
