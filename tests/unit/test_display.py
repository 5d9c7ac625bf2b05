"""What magics show: a grid that fits, marks that are read with and without colours."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Any, Dict, Tuple

import pytest
from wcwidth import wcswidth

from colab_magics.core.display import TEXT_SHARE, TONES, Bar, Link, Mark, Report, shorten

pytestmark = pytest.mark.once

RGB = Tuple[float, ...]
#: What front ends show texts on, and in which colour, in percent of opacity.
PAGES: Dict[str, Tuple[str, str, float]] = {
    "JupyterLab, light": ("#ffffff", "#000000", 0.87),
    "JupyterLab, dark": ("#111111", "#ffffff", 1.0),
    "VS Code, light": ("#ffffff", "#3b3b3b", 1.0),
    "VS Code, dark": ("#1f1f1f", "#cccccc", 1.0),
    "Colab, light": ("#ffffff", "#212121", 1.0),
    "Colab, dark": ("#383838", "#d5d5d5", 1.0),
}
TABLE = Report(
    rows=(
        (Mark.of("ok"), "%pin numpy", "x" * 30),
        (Mark.of("differs"), "%drive mount", "not there"),
    ),
    head=("state", "line", "why"),
)


def rgb(text: str) -> RGB:
    """Read ``#rrggbb``."""
    return tuple(int(text[at : at + 2], 16) for at in (1, 3, 5))


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """Mix two colours."""
    return tuple(share * x + (1 - share) * y for x, y in zip(first, second))


def luminance(colour: RGB) -> float:
    """Return the relative luminance, as WCAG 2 defines it."""
    linear = [
        v / 255 / 12.92 if v / 255 <= 0.04045 else ((v / 255 + 0.055) / 1.055) ** 2.4
        for v in colour
    ]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(first: RGB, second: RGB) -> float:
    """Return the contrast of two colours, as WCAG 2 defines it."""
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("page", PAGES)
def test_each_colour_can_be_read(page: str, tone: Any) -> None:
    """A text or a mark in it has a contrast of 4.5 to 1 with the page."""
    background, text, opacity = rgb(PAGES[page][0]), rgb(PAGES[page][1]), PAGES[page][2]
    share = TEXT_SHARE / 100 * opacity
    alpha = share + 1 - TEXT_SHARE / 100
    mixed = mix(text, rgb(TONES[tone][0]), share / alpha)  # as color-mix does, with its alpha
    assert contrast(mix(mixed, background, alpha), background) >= 4.5


def test_states_are_read_without_colours() -> None:
    """Where nothing is coloured, the words are the state."""
    assert TABLE.text().splitlines() == [
        "state    line          why",
        f"ok       %pin numpy    {'x' * 30}",
        "differs  %drive mount  not there",
    ]
    html = TABLE.html()
    assert re.search(r'<span style="color:[^"]*">● ok</span>', html)
    assert html.count("<th ") == 3


def test_a_table_is_as_wide_as_the_terminal() -> None:
    """Long cells are shortened in the middle, and the last column goes on below itself."""
    report = Report(rows=(("ok", "a" * 30 + "z" * 30, "one two three " * 5), ("ok", "", "")))
    lines = report.text(width=60).splitlines()
    assert max(map(len, lines)) <= 60 and len(lines) > 3
    assert "a…z" in lines[0] and " ".join(lines).split().count("three") == 5
    assert {re.search(r"(one|two|three)", line).start() for line in lines[:3]} == {36}


def test_a_table_of_chinese_texts_is_as_wide_too() -> None:
    """A character of theirs takes two columns; none is lost where the last column wraps."""
    report = Report(rows=(("ok", "数据" * 15, "没有这样的文件夹" * 6), ("ok", "模型", "好")))
    lines = report.text(width=60).splitlines()
    assert max(map(wcswidth, lines)) <= 60 and len(lines) > 3
    assert "…" in lines[0]
    texts = "".join(re.sub(".*  ", "", line) for line in lines[:-1])
    assert texts == "没有这样的文件夹" * 6


def test_html_has_the_whole_of_a_cell_that_is_shortened() -> None:
    """It is shown beside the pointer; the last column wraps instead."""
    html = Report(rows=(("a" * 90, "b" * 90),)).html()
    assert f'title="{"a" * 90}"' in html and ">" + "a" * 90 not in html and "b" * 90 in html


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Be one."""
        return True


def test_only_a_terminal_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none where NO_COLOR is set; elsewhere the width of a terminal changes nothing."""
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((44, 9)))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert TABLE._repr_mimebundle_()["text/plain"] == TABLE.text()
    monkeypatch.setattr(sys, "stdout", Screen())
    shown = TABLE._repr_mimebundle_()["text/plain"]
    assert "\x1b[32m● ok" in shown and "\x1b[33m● differs" in shown
    bare = re.sub(r"\x1b\[\d+m", "", shown)
    assert max(map(len, bare.splitlines())) <= 44
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in TABLE._repr_mimebundle_()["text/plain"]


def test_columns_of_chinese_names_are_aligned() -> None:
    """A character of two columns counts as two."""
    first, second = Report(rows=(("数据", "x"), ("data", "x"))).text().splitlines()
    assert first == "数据  x" and second == "data  x"


def test_a_bar_is_drawn() -> None:
    """In text by signs, in HTML by a background of its length."""
    report = Report(rows=((Bar.of("5 of 10 GB", 0.5, "caution"),),))
    assert report.text() == "[#####     ] 5 of 10 GB"
    assert "50%" in report.html() and TONES["caution"][0] in report.html()


def test_a_link_leads_there() -> None:
    """In HTML, to its own address, escaped; in text it is the address."""
    report = Report((Link('https://a.example/?b=1&c="'),))
    assert report.text() == 'https://a.example/?b=1&c="'
    assert '<a href="https://a.example/?b=1&amp;c=&quot;" target="_blank"' in report.html()


def test_what_is_left_out_is_in_the_middle() -> None:
    """The beginning and the end stay."""
    assert shorten("abcdefghi", 5) == "ab…hi" and shorten("abc", 5) == "abc"
