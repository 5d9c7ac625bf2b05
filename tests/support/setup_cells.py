"""Texts of setup cells for hypothesis: what people, other tools and we ourselves may write."""

from __future__ import annotations

from typing import List

from hypothesis import strategies as st

from colab_magics.core.steps import Step, parse

MARKER = "# colab_magics:setup v1 - what is this?"

#: Lines that are steps when they stand alone in the first column.
STEP_LINES = (
    "%pin numpy==2.1.3",
    "%pin  -q  pandas==2.2.3 Scikit_Learn   # keep: the plots need it",
    "%pin numpy==1.26.4 'numpy>=2; python_version >= \"3.10\"'",
    "%pin -r requirements.txt  # theirs",
    "%pin torch==2.4.1 \\\n    transformers==4.46.0",
    "%drive mount",
    "%drive mount ~/gdrive --provider folder",
    "%cd_persist drive:project  # work here",
    "%cd_persist 'my data'",
    "%gpu  # made on Tesla T4",
    "%gpu require A100 --memory 40GB",
    "%setup auto off",
)

#: Statements that are no steps, each whole in itself.
OTHER_LINES = (
    "",
    "   ",
    "# a comment of the user",
    "import os",
    "x = 1",
    "%reload_ext colab_magics",
    "try:\n    import colab_magics\nexcept ModuleNotFoundError:\n    %pip install -q colab-magics",
    "try:\n    %load_ext colab_magics\nexcept ImportError:\n    %pin no==1\n    raise",
    "if x:\n    %pin inside==1",
    '"""\n%pin text==1\n"""',
    "s = '''it's\n%drive mount\n'''  # done",
    "f(\n%pin bracket==1\n)",
    "!echo don't",
    "files = !ls",
    "%pin numpy ==1  # a space",
    "%pin 'open",
    '%pin ""',
    "%cd_persist",
    "%pinned x",
    "%time 1",
)

#: Pieces that need not go together: half a string, a lone continuation, a carriage return.
_SHARDS = (
    "%pin",
    "%pin a==1",
    "%gpu",
    " %pin b==1",
    "\n",
    "\r\n",
    "\\\n",
    "\\",
    " ",
    "'",
    '"',
    '"""',
    "'''",
    "(",
    ")",
    "[",
    "}",
    "# c",
    "#",
    "if x:\n    ",
    "\t",
    "%setup auto off",
    "%%bash\n",
    "-r f",
    "--memory",
    "\u2028",
    "\x0c",
    "\ud800",
    "é",
    MARKER,
)

#: Any text at all, and text that is nearly a cell.
texts = st.text(max_size=60) | st.lists(st.sampled_from(_SHARDS), max_size=14).map("".join)

#: A cell as a person could have left it: whole statements in any order, with or without a head.
bodies = st.lists(st.sampled_from((*STEP_LINES, *OTHER_LINES)), max_size=10)
heads = st.sampled_from(
    (
        (),
        (MARKER,),
        ("#@title Setup", "# mine", MARKER, "%reload_ext colab_magics"),
        ("#@title Setup", MARKER, "try:\n    %load_ext colab_magics\nfinally:\n    pass"),
    )
)
cells = st.builds(lambda head, body: "\n".join([*head, *body]), heads, bodies)


def pin(*words: str) -> Step:
    """The step of a ``%pin`` line."""
    return step("pin", *words)


def step(word: str, *words: str) -> Step:
    """The step of any line."""
    found = parse(word, words)
    assert found is not None
    return found


def statements(text: str) -> List[str]:
    """The lines of a text, continuation lines joined to the first, as `Line.text` holds them."""
    from colab_magics.record.cell import parse as parse_cell

    return [line.text for line in parse_cell(text)]


_requirements = st.sampled_from(
    (
        "numpy==2.1.3",
        "numpy==1.26.4",
        "NumPy",
        "numpy>=2; python_version >= '3.10'",
        "pandas==2.2.3",
        "scikit-learn",
        "requests[socks]>=2.31",
        "demo @ git+https://example.org/demo@0123abc",
    )
)
pins = st.builds(
    lambda words, files: pin(*words, *(word for file in files for word in ("-r", file))),
    st.lists(_requirements, min_size=1, max_size=4),
    st.lists(st.sampled_from(("requirements.txt", "drive:more.txt", "my list.txt")), max_size=2),
)
folders = st.sampled_from(("data", "drive:project", "~/x", "my data", "a#b", "a #b"))
#: Every kind of step.
steps = st.one_of(
    pins,
    st.builds(lambda path: step("cd_persist", path), folders),
    st.builds(lambda point: step("drive", "mount", *point), st.sampled_from(((), ("~/gdrive",)))),
    st.sampled_from((("--provider", "folder"), ("--from", "~/my files"))).map(
        lambda options: step("drive", "mount", *options)
    ),
    st.just(step("gpu")),
    st.sampled_from(((), ("T4",), ("NVIDIA", "L4", "--memory", "20GiB"))).map(
        lambda words: step("gpu", "require", *words)
    ),
    st.just(step("setup", "auto", "off")),
)
