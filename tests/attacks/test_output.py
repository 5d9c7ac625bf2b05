"""What strangers wrote is shown as text: a terminal or a page obeys none of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, List

import pytest
from IPython.core.error import UsageError
from support.notebooks import notebook

from colab_magics.__main__ import main
from colab_magics.core.controls import visible
from colab_magics.core.display import Bar, Mark, Preformatted, Report
from colab_magics.core.errors import ColabMagicsError, usage_error
from colab_magics.core.host import Host
from colab_magics.extension.output import Status

#: What terminals obey, or people do not see.
SENT = {
    "a colour": "\x1b[31m",
    "the clipboard": "\x1b]52;c;aGk=\x07",
    "the title": "\x1b]0;x\x1b\\",
    "a cleared screen": "\x9b2J",
    "a line over another": "safe\rbad",
    "a step back": "ab\x08\x08cd",
    "another direction": "\u202egnp.exe",
    "an isolate": "\u2066a\u2069",
    "a line end": "a\u2028b",
    "a zero byte": "a\x00b",
    "half a character": "a\ud800b",
}
PLAIN = re.compile(
    "[^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*"
)
each = pytest.mark.parametrize("sent", SENT.values(), ids=list(SENT))


def _errors(text: str) -> List[str]:
    error, usage = ColabMagicsError(text, text, text), usage_error(text, text)
    return [
        str(error),
        error.message,
        error.hint,
        error.details,
        *error._render_traceback_(),
        str(usage),
    ]


def _reports(text: str) -> List[str]:
    row = (text, Bar.of(text, 0.5), Mark.of(text))
    report = Report((text, Mark.of(text)), (row,), (text,), row)
    texts = [str(report), report.text(width=40), *report._repr_mimebundle_().values()]
    return [*texts, *Preformatted(text)._repr_mimebundle_().values()]


@each
@pytest.mark.parametrize("door", [_errors, _reports])
def test_each_door_shows_it_as_text(door: Callable[[str], List[str]], sent: str) -> None:
    """Errors and reports hold it as escapes, and none of it as it was."""
    texts = door(f"name {sent} end")
    for text in texts:
        assert PLAIN.fullmatch(text), ascii(text)
    assert visible(sent, allow="").split("\\")[0] in texts[0] and "\\" in texts[0]


def test_a_report_is_text_in_html() -> None:
    """Nothing of a text is a tag, an attribute or an entity; a cell is one row."""
    nasty = '<img src=x onerror=alert(1)>" onload="x\' & \n<script>'
    long = nasty * 9  # is shortened, and whole in an attribute
    row = (nasty, long, Mark.of(nasty), Bar.of(nasty, 0.5))
    html = Report((nasty,), (row,), (nasty,), row)._repr_mimebundle_()["text/html"]
    tags = {"div", "table", "thead", "tbody", "tr", "th", "td", "span"}
    assert set(re.findall(r"<(\w+)", html)) == tags
    assert html.count("<tr ") == 2 and '" onload' not in html
    assert {*re.findall(r" ([a-z]+)=\"", html)} == {"style", "title"}
    assert len(Report(rows=(("a\nb", "c"),)).text().splitlines()) == 1


@each
def test_progress_stays_on_its_line(
    sent: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """On a terminal the line is written over by us alone."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(Host, "may_ask", True)
    Status(Host(), quiet=False)(f"fetching {sent}\nx")
    out = capsys.readouterr().out
    assert out.startswith("\r\x1b[K") and PLAIN.fullmatch(out[4:]) and "\n" not in out


@each
@pytest.mark.parametrize("command", [("show",), ("check",), ("forget", "--all"), ("write",)])
def test_the_command_line_shows_a_strangers_cell(
    command: List[str], sent: str, home: Path, capsys: Any
) -> None:
    """A notebook's setup cell, its magics and the name of its file reach the terminal as text."""
    name = "x.ipynb" if "\0" in sent or "\ud800" in sent else f"{sent.replace('/', '')}.ipynb"
    lines = (f"# {sent}", f"%cd_persist a{sent}", f"!x {sent}")
    cell = "\n".join(("# colab_magics:setup v1", "%reload_ext colab_magics", *lines))
    path = notebook(home / "work" / name, cell, f"%cd_persist b\n%pin a{sent}==1")
    main(["setup", command[0], str(path), *command[1:]])
    shown = capsys.readouterr()
    assert shown.out + shown.err
    assert PLAIN.fullmatch(shown.out + shown.err), ascii(shown)


@each
def test_a_usage_error_is_one_exactly(sent: str) -> None:
    """IPython prints it as a line only if it is its own class."""
    assert type(usage_error(sent)) is UsageError
