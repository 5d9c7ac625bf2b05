"""The core of a conflict, from what installers print; the texts are theirs, of uv 0.13 and pip."""

from __future__ import annotations

from typing import List

import pytest

from colab_magics.pins.conflict import core

UV = ["Using Python 3.11.7 environment at: v1", "error: No solution found when resolving:"]


def uv(*steps: str) -> List[str]:
    """What uv prints, with its explanation."""
    first, *others = steps
    return [*UV, f"  cause: {first}", *(f"         {one}" for one in others), "hint: more"]


DIRECT = "Because you require numpy==1.24 and numpy==1.26, we can conclude that your requirements"
NEEDS = (
    "Because pandas==2.2.3 depends on numpy{python_full_version < '3.12'}>=1.23.2 and you require "
    "pandas==2.2.3, we can conclude that you require numpy>=1.23.2.",
    "And because you require numpy==1.20, we can conclude that your requirements are "
    "unsatisfiable.",
)
SPELLED = (
    "Because tensorflow==2.15.0 depends on numpy>=1.23.5,<2.0.0 and you require tensorflow==2.15, "
    "we can conclude that you require numpy>=1.23.5,<2.0.0.",
    "And because you require numpy==2.1, we can conclude that your requirements are unsatisfiable.",
)
DEEP = (
    "Because all versions of bb depend on cc==1.0 and aa==1.0 depends on bb==1.0, we can conclude "
    "that aa==1.0 depends on cc==1.0.",
    "And because you require aa==1.0 and cc==2.0, we can conclude that your requirements are "
    "unsatisfiable.",
)
HELD = (
    "Because bokeh==3.6.0 depends on tornado>=6.2 and tornado==6.1, we can conclude that "
    "bokeh==3.6.0 cannot be used.",
    "And because you require bokeh==3.6.0, we can conclude that your requirements are "
    "unsatisfiable.",
)
ONE_OF = (
    "Because seaborn>=0.13.2 depends on one of:",
    "    numpy>=1.20,<1.24.0",
    "    numpy>1.24.0",
    "and you require seaborn==0.13.2, we can conclude that you require one of:",
    "    numpy>=1.20,<1.24.0",
    "    numpy>1.24.0",
    "And because you require numpy==1.19.0, we can conclude that your requirements are "
    "unsatisfiable.",
)
BETWEEN = (
    "Because ee==1.0 depends on cc>=2 and dd==1.0 depends on cc<2, we can conclude that dd==1.0 "
    "and ee==1.0 are incompatible.",
    "And because you require dd==1.0 and ee==1.0, we can conclude that your requirements are "
    "unsatisfiable.",
)


@pytest.mark.parametrize(
    ("steps", "line", "expected"),
    [
        ((DIRECT,), "numpy==1.24 numpy==1.26", "the line asks for numpy==1.24 and numpy==1.26"),
        (
            (DIRECT,),
            "numpy==1.24",
            "the line asks for numpy==1.24, and a constraint asks for numpy==1.26",
        ),
        (
            NEEDS,
            "pandas==2.2.3 numpy==1.20",
            "pandas 2.2.3 needs numpy>=1.23.2, and the line asks for numpy==1.20",
        ),
        (
            SPELLED,
            "tensorflow==2.15 numpy==2.1",
            "tensorflow 2.15.0 needs numpy>=1.23.5,<2.0.0, and the line asks for numpy==2.1",
        ),
        (
            DEEP,
            "aa==1.0 cc==2.0",
            "aa 1.0 needs bb==1.0, every version of bb needs cc==1.0, "
            "and the line asks for cc==2.0",
        ),
        (
            HELD,
            "bokeh==3.6.0",
            "bokeh 3.6.0 needs tornado>=6.2, and a constraint asks for tornado==6.1",
        ),
        (
            ONE_OF,
            "seaborn==0.13.2 numpy==1.19.0",
            "seaborn>=0.13.2 needs one of numpy>=1.20,<1.24.0, numpy>1.24.0, "
            "and the line asks for numpy==1.19.0",
        ),
        (BETWEEN, "dd==1.0 ee==1.0", "ee 1.0 needs cc>=2, and dd 1.0 needs cc<2"),
    ],
)
def test_the_core_of_what_uv_explains(steps: List[str], line: str, expected: str) -> None:
    """What excludes what, from above to below, and who asks for it; conclusions are left out."""
    said, whole = core(uv(*steps), line.split())
    assert said == expected
    assert whole.splitlines()[0] == steps[0] and len(whole.splitlines()) <= 8
    assert "hint" not in whole


def test_the_form_of_older_versions() -> None:
    """Uv has drawn a tree at the head of its explanation."""
    tree = ["  × No solution found when resolving dependencies:", f"  ╰─▶ {NEEDS[0]}", NEEDS[1]]
    assert core(tree, ["numpy==1.20"]) == core(uv(*NEEDS), ["numpy==1.20"])


def test_much_that_older_versions_say() -> None:
    """Versions that exist, and what was withdrawn, are not the core; its lines are wrapped."""
    tree = [
        "  × No solution found when resolving dependencies:",
        "  ╰─▶ Because only the following versions of numpy{python_full_version <",
        "      '3.12'} are available:",
        "          numpy{python_full_version < '3.12'}<=2.2.6",
        "      and numpy{python_full_version < '3.12'}==2.4.0 was yanked (reason:",
        "      Backward compatibility bug), we can conclude that all of:",
        "          numpy{python_full_version < '3.12'}>=1.23.2,<2.1.2",
        "      depend on one of:",
        "          numpy>=1.23.2,<=2.1.1",
        "      And because the current Python version (3.11.7) does not satisfy",
        "      Python>=3.12 and pandas==2.2.3 depends on numpy{python_full_version <",
        "      '3.12'}>=1.23.2, we can conclude that pandas==2.2.3 depends on one of:",
        "          numpy>=1.23.2,<=2.2.6",
        "      And because you require pandas==2.2.3 and numpy==1.20, we can conclude",
        "      that your requirements are unsatisfiable.",
    ]
    said, whole = core(tree, ["pandas==2.2.3", "numpy==1.20"])
    assert said == "pandas 2.2.3 needs numpy>=1.23.2, and the line asks for numpy==1.20"
    assert len(whole.splitlines()) == 8


def test_the_core_of_what_pip_lists() -> None:
    """Pip names each version that it has tried: one of them stands for all."""
    said = [
        "INFO: pip is looking at multiple versions of dd",
        "The conflict is caused by:",
        "    The user requested cc==2.0",
        '    dd 1.2 depends on cc<2; python_version == "3.11"',
        "    dd 1.1 depends on cc<2",
        "    The user requested (constraint) ee==1",
        "To fix this you could try to:",
        "ERROR: ResolutionImpossible",
    ]
    text, whole = core(said, ["cc==2.0", "dd"])
    assert text == ("dd 1.2 needs cc<2, the line asks for cc==2.0, and a constraint asks for ee==1")
    assert len(whole.splitlines()) == 4


def test_what_is_not_understood_stays() -> None:
    """A premise of another kind is kept in the installer's own words."""
    what = "foo was not found in the provided package locations"
    step = f"Because {what} and you require foo, we can conclude that your requirements"
    assert core(uv(step), ["foo"])[0] == f"{what}, and the line asks for foo"


def test_no_conflict_no_core() -> None:
    """Where an installer failed for another reason, nothing is made up."""
    assert core(["error: Failed to fetch: `http://x/`"], ["foo"]) == ("", "")
    assert core([], []) == ("", "")
