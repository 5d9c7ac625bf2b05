"""Generated lines for every magic, in environments that are not as anyone expects.

Whatever is typed, wherever: a magic succeeds, or says in two lines what is wrong and what to do
(`UsageError`, `ColabMagicsError`). Programs that it would start are stubs, and no address but this
machine's own is reached, so that a line can do no harm.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

import pytest
from support.cells import PACKAGE, TESTS

from colab_magics.core.registry import load
from colab_magics.extension.registration import MAGICS, WATCHERS

#: Lines for each magic with ``--long``, over all environments; in a slice.
MANY, FEW = 500, 5
#: The environments of a slice.
SLICE = 2
#: Seconds that a line may take, a program that does not answer at all apart.
PATIENCE = 20

#: Programs that a magic may start, as stubs: they say nothing, print a line, or fail.
STUBS = (
    *("apt-get", "apt-cache", "dpkg", "dpkg-query", "sudo", "git", "git-lfs", "gh", "rclone"),
    *("fusermount", "fusermount3", "umount", "mount", "uv", "pip", "python", "python3", "conda"),
    *("nvidia-smi", "jupyter", "curl", "wget", "ssh", "ls", "cat", "make", "rm", "xdg-open"),
)
#: Words that are rare where people type, and common where things break.
ODD = [
    *("", "''", '""', "'", '"', "-", "--", "---", "-x", "--no-such", "#", "# a comment", "\\", "="),
    *(
        "a=b",
        "=b",
        "a=",
        "~",
        "~nobody",
        "~/x",
        "/",
        "//",
        ".",
        "..",
        "../..",
        "/dev/null",
        "/proc",
    ),
    *("/proc/self/mem", "drive:", "drive:x", "drive:../..", ":", "::", "a:b:c", "*", "?", "[", "]"),
    *(
        "x" * 300,
        "x/" * 300,
        "/" + "y" * 5000,
        "\x00",
        "a\x00b",
        "\ud800",
        "a\udc80b",
        "\u202e",
        "é",
    ),
    *(
        "数据",
        "😀",
        "\x1b[31m",
        "\x1b]52;c;aGk=\x07",
        "\r",
        "\t",
        "\x85",
        "\u2028",
        "a\nb",
        "\ufeff",
    ),
    *(
        "{x}",
        "{",
        "}",
        "{}",
        "{{x}}",
        "$x",
        "$",
        "$$",
        "${x}",
        "$HOME",
        "{1/0}",
        "%",
        "%%",
        "!",
        "`",
    ),
    *(
        "http:/",
        "http://",
        "http://[",
        "http://[::1",
        "http://a$bhttp:/",
        "http://a:b@c:d/",
        "ftp:",
    ),
    *("http://127.0.0.1:9/x", "https://u:p@127.0.0.1:9/é", "file:///etc/passwd", "git+ssh://-x/y"),
    *(
        "git+",
        "@",
        "a@b",
        "==",
        "x==",
        "x==1.*",
        "x>=1,<",
        "x[",
        "x; ",
        "./x",
        "-e",
        "-r",
        "--from",
    ),
    *(
        "0",
        "-1",
        "1e999",
        "nan",
        "9" * 40,
        "1h",
        "999999999999h",
        "all",
        "--all",
        "--json",
        "--yes",
    ),
    *(
        "--timeout",
        "-n",
        "--sha256",
        "٣",
        "\u00b2",
        "İ",
        "ß",
        "a\u0301",
        "\U0010ffff",
        "|",
        ";",
        "&",
    ),
]


class Environment(NamedTuple):
    """Where a shell stands: variables (None: not set), and what its process does at its start."""

    variables: Dict[str, str] = {}
    without: Tuple[str, ...] = ()
    prepared: str = ""
    folder: str = "work"
    programs: str = "exit 0"


ENVIRONMENTS: Dict[str, Environment] = {
    "plain": Environment(),
    "root of nothing": Environment(without=("HOME",)),
    "home that is not there": Environment({"HOME": "/nonexistent/home"}),
    "home that is a file": Environment({"HOME": "/dev/null"}),
    "relative home": Environment({"HOME": "somewhere"}),
    "empty home": Environment({"HOME": ""}),
    "home in /proc": Environment({"HOME": "/proc"}),
    "C locale": Environment({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}),
    "C locale, uncoerced": Environment({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}),
    "latin-1": Environment({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}),
    "no such locale": Environment({"LC_ALL": "xx_YY.UTF-8"}),
    "Turkish": Environment({"LC_ALL": "tr_TR.UTF-8"}),
    "deleted cwd": Environment(prepared="shutil.rmtree(os.getcwd())"),
    "cwd moved away": Environment(prepared="os.rename(os.getcwd(), os.getcwd() + '2')"),
    "cwd of another": Environment(prepared="os.chdir('/proc/self')"),
    "300 characters": Environment(folder="/".join(["d" * 100] * 3)),
    "Chinese and emoji": Environment(folder="数据 😀/日本"),
    "latin-1 folder": Environment(folder="caf\udce9"),
    "line ends in the folder": Environment(folder="a\n\x1b[31m\u2028b"),
    "braces and dollars": Environment(folder="{x} $HOME '\"%"),
    "proxies": Environment(
        dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    ),
    "proxies that are none": Environment(
        dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "no_proxy"), "://[")
    ),
    "empty PATH": Environment({"PATH": ""}),
    "no PATH": Environment(without=("PATH",)),
    "PATH of nothing": Environment({"PATH": "/nonexistent:\udce9:."}),
    "programs that fail": Environment(programs="echo E: no >&2; exit 1"),
    "programs that say a line": Environment(programs="echo a line; exit 0"),
    "programs that say bytes": Environment(programs="printf '\\377\\000\\033[31m\\r'; exit 3"),
    "programs that are killed": Environment(programs="kill -9 $$"),
    "programs that are none": Environment(programs=""),
    "odd TERM": Environment({"TERM": "\x1b[31m", "COLUMNS": "-1", "LINES": "x"}),
    "no input": Environment(prepared="os.close(0); sys.stdin = None"),
    "Colab by its variables": Environment({"COLAB_RELEASE_TAG": "x", "COLAB_GPU": "1"}),
    "Kaggle by its variables": Environment({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}),
    "odd numbers": Environment(
        {
            "COLAB_MAGICS_SESSION_HOURS": "nan",
            "CUDA_VISIBLE_DEVICES": "\u00b2",
            "SOURCE_DATE_EPOCH": "x",
        }
    ),
    "odd folders": Environment(
        dict.fromkeys(("XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"), "/dev/null/x")
    ),
    "no place for files": Environment({"TMPDIR": "/nonexistent", "TMP": "", "TEMP": "\udce9"}),
    "a run of nobody": Environment(
        {"COLAB_MAGICS_RUN": "/nonexistent", "JPY_SESSION_NAME": "\udce9", "JPY_PARENT_PID": "x"}
    ),
    "small files": Environment(
        prepared="import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (4096, 4096));"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)"
    ),
    "many variables": Environment({f"V{n}": "x" * 1000 for n in range(200)}),
}


def words_of(name: str) -> List[str]:
    """What this magic understands, by its help: its examples, their words, and its options."""
    magic = load(MAGICS[name])
    text = magic.help()
    found = [*magic.parser().commands, *re.findall(r"(?<![\w-])--?[a-z][\w-]*", text)]
    for line in re.findall(rf"^ *%%?{name}\b(.*)$", text, re.M):
        code = line.partition("  #")[0].strip()
        found += [code, *code.split()]
    return sorted(set(found))


def lines_of(name: str, count: int, seed: str) -> Iterator[Tuple[str, str, object]]:
    """Lines for a magic: of its own words and odd ones, some with a body."""
    rng = random.Random(f"{name} {seed}")
    own = words_of(name)
    for _ in range(count):
        words = [rng.choice(own if rng.random() < 0.6 else ODD) for _ in range(rng.randrange(5))]
        if words and rng.random() < 0.15:
            at = rng.randrange(len(words))
            cut = rng.randrange(len(words[at]) + 1)
            words[at] = words[at][:cut] + rng.choice(ODD) + words[at][cut:]
        body = None
        if rng.random() < 0.15:
            body = "\n".join(rng.choice(own + ODD) for _ in range(rng.randrange(4)))
            body = "1" if name in WATCHERS else body  # a cell of Python, which may hold any error
        line = rng.choice([" ", " ", "  ", "\t", "="]).join(words)
        if body is not None and name in WATCHERS and len(line.splitlines()) > 1:
            body = None  # what follows a line separator is the cell's code, with errors of its own
        yield name, line, body


def ended(place: Path, environment: Environment, lines: object) -> List[Tuple[bool, str]]:
    """What became of each line in that environment: whether that is bad, and what was said."""
    folder = place / "home" / environment.folder
    folder.mkdir(parents=True)
    programs = place / "programs"
    programs.mkdir()
    for stub in STUBS:
        text = f"#!/bin/sh\n{environment.programs}\n" if environment.programs else "\x7fELF"
        (programs / stub).write_text(text)
        (programs / stub).chmod(0o755)
    # An interpreter's own address and folders come from the environment: none of the user's.
    nowhere = "http://127.0.0.1:9/simple"
    seen = [str(TESTS)] if PACKAGE.name == "site-packages" else [str(TESTS), str(PACKAGE)]
    base = {"PATH": str(programs), "HOME": str(place / "home"), "LANG": "C.UTF-8"}
    base.update(PYTHONPATH=os.pathsep.join(seen), UV_OFFLINE="1", UV_INDEX_URL=nowhere)
    base.update(PIP_INDEX_URL=nowhere, PIP_RETRIES="0", PIP_TIMEOUT="1", PIP_NO_INPUT="1")
    base.update(UV_CACHE_DIR=str(place / "uv"), PYDEVD_DISABLE_FILE_VALIDATION="1")
    base.update(IPYTHONDIR=str(place / "ipython"), UV_NO_CONFIG="1", PIP_CONFIG_FILE=os.devnull)
    base.update(TMPDIR=str(place))
    variables = {**base, **environment.variables}
    for name in environment.without:
        del variables[name]
    asked = place / "lines.json"
    asked.write_text(json.dumps(list(lines)), encoding="ascii")  # type: ignore[call-overload]
    command = [sys.executable, "-m", "support.harmless"]
    with asked.open("rb") as stream:
        child = subprocess.run(
            [*command, str(stream.fileno()), environment.prepared, str(PATIENCE)],
            pass_fds=[stream.fileno()],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=280,
        )
    answers = [tuple(json.loads(line)) for line in child.stdout.splitlines()]
    return [
        *answers,
        *[(True, f"the shell ended: {child.stderr[-600:]!r}")] * bool(child.returncode),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All environments with ``--long``; else a few, of each commit others."""
    names = sorted(ENVIRONMENTS)
    if not metafunc.config.getoption("--long"):
        names = random.Random("a few").sample(names, SLICE)
    metafunc.parametrize("name", names)


def test_a_line_ends_well_or_says_why(
    name: str, tmp_path: Path, long: bool, held: Callable[[int, int], None]
) -> None:
    """Each line ends in time: as a success, or as an error that people can read."""
    count = -(-MANY // len(ENVIRONMENTS)) if long else FEW
    lines = [line for magic in MAGICS for line in lines_of(magic, count, name)]
    answers = ended(tmp_path, ENVIRONMENTS[name], lines)
    bad = [(line, said) for line, (wrong, said) in zip(lines, answers) if wrong]
    held(len(lines), len(lines) - len(bad))
    assert not bad, "\n".join(f"{line!a}: {said}" for line, said in bad)
    assert len(answers) == len(lines), answers[-1:]
