"""What becomes of bytes: lines, bars, head and tail, and what a terminal would show of a line."""

from __future__ import annotations

import json
import re
import time
from typing import Dict, List

import pytest

from colab_magics.shell.ansi import plain_text, render
from colab_magics.shell.output import HEAD, Output, Piece

pytestmark = pytest.mark.once

GREEN, END = "\x1b[32m", "\x1b[0m"


def shown(pieces: List[Piece]) -> str:
    """What a person sees in the end: each display in its last state."""
    last: Dict[int, str] = {piece.place: piece.text for piece in pieces if piece.place}
    return "".join(piece.text for piece in pieces if not piece.place) + "".join(last.values())


def final(pieces: List[Piece]) -> List[Piece]:
    """What is there in the end, in the order of a page: each display where it was made."""
    last = {piece.place: piece for piece in pieces if piece.place}
    there: Dict[int, Piece] = {}
    for at, piece in enumerate(pieces):
        there.setdefault(piece.place or -at - 1, last.get(piece.place, piece))
    return list(there.values())


def fed(live: bool, *chunks: bytes, name: str = "stdout") -> List[Piece]:
    """The pieces of chunks that come a second apart."""
    output, pieces = Output(live), []
    for at, chunk in enumerate(chunks, 1):
        output.feed(name, chunk, float(at))
        pieces += output.tick(float(at))
    return pieces + output.end()


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("plain", "plain"),
        (f"{GREEN}colour{END} kept", f"{GREEN}colour{END} kept"),
        ("10%\r20%\r30%", "30%"),
        ("long text\rshort", "shorttext"),
        ("long text\r\x1b[Kshort", "short"),
        ("gone\r\x1b[2K", ""),
        (f"1%\r{GREEN}2%{END}|#", f"{GREEN}2%{END}|#"),
        ("spin |\b/\b-", "spin -"),
        ("dos line\r", "dos line"),
        ("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor"),
        ("\x1b]0;a title\x07text", "text"),
        ("a\x1b[5Gb\x1b[2Dc", "a  cb"),
        ("bell\x07 and nothing\x00", "bell and nothing"),
        ("cut off\r\x1b[3", "cut off"),
        (
            "\x1b[1m\x1b[31mboth\x1b[0;34mone\x1b[m\r",
            "\x1b[1m\x1b[31mboth\x1b[0m\x1b[0;34mone\x1b[0m",
        ),
    ],
)
def test_of_a_line_what_a_terminal_would_show_is_left(line: str, seen: str) -> None:
    """Overwritten text is gone, as are control characters; colours are kept."""
    assert render(line) == seen
    assert render(render(line)) == render(line)


def test_an_error_is_told_without_colours() -> None:
    """The text of a line has no control sequence."""
    assert plain_text(f"1%\r{GREEN}done{END}\x1b[K") == "done"


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_lines_come_as_they_are_however_they_are_cut(live: bool, size: int) -> None:
    """Chunks may cut lines and characters anywhere."""
    data = "one\nzwei é ü\n\nthree\u2713, no newline".encode()
    output = Output(live)
    pieces: List[Piece] = []
    for at in range(0, len(data), size):
        output.feed("stdout", data[at : at + size], 0.0)
        pieces += output.tick(0.0)
    assert shown(pieces + output.end()) == data.decode()


def test_what_is_no_text_is_shown_all_the_same() -> None:
    """Bytes that are no text are marks; nothing fails."""
    assert shown(fed(False, b"\xff\xfe\x00ok\n")) == "\ufffd\ufffdok\n"


def test_pieces_come_at_most_ten_times_a_second() -> None:
    """However often it is asked, what came in a tenth of a second comes together."""
    output = Output(True)
    times = []
    for step in range(1000):
        now = 1 + step / 1000
        output.feed("stdout", b"x\n", now)
        if output.tick(now):
            times.append(now)
    assert len(times) <= 10


def test_a_bar_is_one_display_updated_in_place() -> None:
    """A line written over and over is set anew in its display, where it stays when it is done."""
    pieces = fed(True, b"before\n", b"\r 0%|  |", b"\r50%|# |", b"\r99%|##|\nafter\n")
    assert [piece.place for piece in pieces] == [0, 1, 1, 1, 0]
    assert [piece.text for piece in pieces[1:4]] == [" 0%|  |", "50%|# |", "99%|##|"]
    assert pieces[4] == Piece("stdout", "after\n")


def test_bars_one_below_another_are_one_display() -> None:
    """The second bar does not overwrite the first; what is no bar ends them."""
    pieces = fed(True, b"\ra1", b"\ra2\n\rb1", b"\rb2\nplain\n\rc1", b"\rc2")
    last = {piece.place: piece.text for piece in pieces}
    assert last == {1: "a2\nb2", 0: "plain\n", 2: "c2"}


def nested(outer: int, inner: int) -> bytes:
    """What bars of nested loops print, the inner one below the outer, and gone when it is done."""
    said = [f"\router 0/{outer}"]
    for n in range(outer):
        said += [f"\n\rinner {n}: {m}/{inner}\x1b[A" for m in range(inner + 1)]
        said += [f"\n\r{' ' * 20}\r\x1b[A", f"\router {n + 1}/{outer}"]
    return "".join([*said, "\nend\n"]).encode()


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("size", [1, 7, 333, 100_000])
def test_bars_of_nested_loops_stand_still(live: bool, size: int) -> None:
    """A cursor that goes up again writes over what is there, however the bytes are cut."""
    data = nested(20, 5)
    pieces = fed(live, *[data[at : at + size] for at in range(0, len(data), size)])
    assert shown(pieces).rstrip() == "outer 20/20\nend"
    assert len({piece.place for piece in pieces}) == 1


def test_bars_of_nested_loops_fill_no_notebook() -> None:
    """Two hundred times twenty of them are two lines, and nothing of it is left out."""
    output = Output(True)
    output.feed("stderr", nested(200, 20), 1.0)
    assert shown(output.end()) == "outer 200/200\nend\n" and not output.cut


@pytest.mark.parametrize("live", [True, False])
def test_what_is_written_above_bars_scrolls_away(live: bool) -> None:
    """Lines that a program writes above its bars, or below them, are all there, in order."""
    said = b"".join(b"\x1b[A\r\x1b[Kline %d\n\rbar %d\n" % (n, n) for n in range(150))
    pieces = fed(live, b"\rbar\n", said, b"".join(b"%d\n" % n for n in range(90)))
    lines = "\n".join(piece.text.rstrip("\n") for piece in final(pieces)).split("\n")
    wanted = [f"line {n}" for n in range(150)] + ["bar 149"] + [str(n) for n in range(90)]
    assert lines == wanted
    assert len({piece.place for piece in pieces}) < 20


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("\ra\n\rb\n\x1b[2Ac", "c\nb"),
        ("\ra\n\rb\n\x1b[2A\x1b[Jc", "c"),
        ("\ra\n\rb\x1b[Fc\x1b[Ed", "c\nd"),
        ("\ra\x1b[99Ab\x1b[Bc", "b\nc"),
        ("\ra\n\rlong\x1b[A\x1b[B\x1b[2K\rb", "a\nb"),
    ],
)
def test_a_cursor_goes_where_it_is_sent(said: str, seen: str) -> None:
    """Up and down by so many lines, to the top at most, and erasing what is below."""
    assert shown(fed(True, said.encode())).rstrip() == seen


def test_a_flood_of_lines_takes_no_time() -> None:
    """Understanding moves costs nothing where there are none."""
    data = b"".join(b"%d\n" % n for n in range(200_000))
    output, began = Output(True), time.process_time()
    for at in range(0, len(data), 65536):
        output.feed("stdout", data[at : at + 65536], 1.0)
    output.end()
    assert time.process_time() - began < 0.2


def test_for_an_executor_a_bar_is_its_last_state() -> None:
    """Without a live front end there is no display: a line, as it was in the end."""
    assert fed(False, b"\r 0%", b"\r50%", b"\r99%\n") == [Piece("stdout", "99%\n")]


def test_half_a_line_is_shown_after_a_while_and_once() -> None:
    """A line that pauses is shown as far as it is; its end follows."""
    output = Output(True)
    output.feed("stdout", b"Building... ", 1.0)
    assert output.tick(1.1) == []
    assert output.tick(2.0) == [Piece("bar", "Building... ", 1)]
    output.feed("stdout", b"done\nnext\n", 3.0)
    assert output.tick(3.0) == [Piece("bar", "Building... done", 1), Piece("stdout", "next\n")]


@pytest.mark.parametrize("live", [True, False])
def test_head_and_tail_are_kept_of_each_stream(live: bool) -> None:
    """Of many lines the first and the last are shown, none twice, and those between are counted."""
    lines = [f"{n}\n" for n in range(100_000)]
    output = Output(live)
    pieces: List[Piece] = []
    for at in range(0, len(lines), 1000):
        for name in ("stdout", "stderr"):
            output.feed(name, "".join(lines[at : at + 1000]).encode(), float(at))
        pieces += output.tick(float(at))
    pieces += output.end()
    assert output.cut
    seen = shown([piece for piece in pieces if piece.kind == "stdout"])
    head = [line for line in seen.split("⋮")[0].split("\n") if line]
    assert head == [str(n) for n in range(len(head))]
    tail = [piece.text for piece in pieces if "lines are omitted" in piece.text][-1]
    marker, *last = tail.partition("⋮")[2].strip().split("\n")
    left_out = int(marker.split()[0].replace(",", ""))
    assert last == [str(n) for n in range(100_000 - len(last), 100_000)]
    assert len(head) + left_out + len(last) == 100_000


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize(("count", "left"), [(400, 400), (401, 400), (5000, 400)])
def test_a_few_hundred_lines_are_shown(live: bool, count: int, left: int) -> None:
    """All of as many lines; of more the first and the last ones, and how many are left out."""
    data = "".join(f"{n}\n" for n in range(count)).encode()
    output = Output(live)
    output.feed("stdout", data, 1.0)
    lines = shown(output.end()).rstrip("\n").split("\n")
    numbers = [int(line) for line in lines if "⋮" not in line]
    assert numbers == [*range(250), *range(count - 150, count)]
    assert len(numbers) == left and output.cut is (count > left)
    assert len(lines) == left + (count > left)


@pytest.mark.parametrize(
    "chunk",
    [b"\x00\x01\x02\x1b" * 5000, "é✓\U0001f600\n".encode() * 5000, b"x" * 50_000, b"\n" * 50_000],
)
def test_a_notebook_stays_small_whatever_is_printed(chunk: bytes) -> None:
    """What is shown is counted as it is saved, where a control character takes six bytes."""
    pieces = fed(False, *[chunk] * 20)
    assert len(json.dumps([piece.text for piece in pieces], ensure_ascii=False)) < 2.5 * HEAD


def test_a_line_without_end_is_clipped_in_the_middle() -> None:
    """A megabyte on one line is shown by its ends, with the number of characters between."""
    (piece,) = fed(False, *[b"x" * 100_000] * 10, b"end\n")
    assert piece.text.startswith("xxx") and piece.text.endswith("xend\n")
    assert len(piece.text) < 2100 and "…[998,003 characters]…" in piece.text


def test_many_bars_do_not_fill_the_notebook() -> None:
    """After as many displays as there is room for, bars are among the lines that are left out."""
    pieces = fed(True, *[f"\rbar {n} half\rbar {n} done\n\rbar".encode() for n in range(2000)])
    places = {piece.place for piece in pieces if piece.place}
    assert len(places) < 200


def test_cutting_does_not_depend_on_the_chunks() -> None:
    """For executors, which compare: the same bytes give the same text."""
    data = b"".join(b"line %d\n" % n for n in range(20_000))
    texts = {
        shown(fed(False, *[data[at : at + size] for at in range(0, len(data), size)]))
        for size in (999, 4096, 65536, len(data))
    }
    assert len(texts) == 1


def test_the_last_lines_are_those_of_the_errors() -> None:
    """For an error the last lines of standard error are told, else those of standard output."""
    output = Output(False)
    output.feed("stdout", b"1\n2\n3\n", 0.0)
    assert output.last_lines(2) == ["2", "3"]
    output.feed("stderr", f"{GREEN}bad{END}\n\n".encode(), 0.0)
    assert output.last_lines(2) == ["bad"]


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("size", [50, 1_000, 100_000])
def test_of_lines_that_are_overwritten_none_is_lost(live: bool, size: int) -> None:
    """Where they are too many, those in the middle are counted; no more lines than fit are."""
    data = "".join(f"\repoch {k}\n" for k in range(600)).encode()
    output, pieces = Output(live), []
    for at in range(0, len(data), size):
        output.feed("stdout", data[at : at + size], float(at))
        pieces += output.tick(float(at))
    text = "\n".join(piece.text for piece in final(pieces + output.end()))
    first, gap, last = text.partition("⋮ ")
    numbers = [int(word) for word in re.findall(r"epoch (\d+)", first)]
    assert numbers == list(range(len(numbers))) and len(numbers) > 200
    omitted = int(gap and last.split()[0])
    assert re.findall(r"epoch (\d+)", last)[0] == str(len(numbers) + omitted)
    assert last.rstrip().endswith("epoch 599")
