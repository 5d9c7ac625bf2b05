"""What can only be a slip in a ``%pin`` line."""

from __future__ import annotations

from typing import Optional, Tuple

import pytest

from colab_magics.core.arguments import is_near
from colab_magics.pin.slips import find_near, find_package, find_slip
from colab_magics.pin.step import parse

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("line", "slip"),
    [
        ("numpy 2.2.6", ("numpy 2.2.6", "numpy==2.2.6")),
        ("a numpy 2 b", ("numpy 2", "numpy==2")),
        ("numpy=2.2.6", ("numpy=2.2.6", "numpy==2.2.6")),
        ("numpy@2", ("numpy@2", "numpy==2")),
        ("torch = 1.5", ("torch = 1.5", "torch==1.5")),
        ("torch== 1.5 numpy", ("torch== 1.5", "torch==1.5")),
        ("numpy >=2,<3", ("numpy >=2,<3", "numpy>=2,<3")),
        ("a[b,c] => 2.0rc1", ("a[b,c] => 2.0rc1", "a[b,c]>=2.0rc1")),
        ("2.2.6", ("2.2.6", "")),
        ("a==1 2", ("2", "")),
        ("numpy==2.2.6 2to3 py7zr", None),
        ("numpy>=2,<3 a[b]~=1.0 c!=2", None),
    ],
)
def test_a_version_that_is_not_behind_its_operator(
    line: str, slip: Optional[Tuple[str, str]]
) -> None:
    """The words and what they mean are found; what means what it says is left alone."""
    assert find_slip(line.split()) == slip


def test_quoted_requirements_may_have_spaces() -> None:
    """PEP 508 allows them in one word."""
    assert find_slip(["torch == 1.5", "numpy>=2; python_version >= '3.10'"]) is None


def test_names_that_are_a_letter_off() -> None:
    """Of a package that is much used; such a package itself is never one."""
    for name in ("nmpy", "numpyy", "unmpy", "numqy", "nunpy"):
        assert find_near(name) == "numpy"
    assert find_near("sklearn") == "scikit-learn"
    for name in ("numpy", "datasets", "dataset", "six", "sax", "my-package"):
        assert find_near(name) == ""
    assert find_package("my-pakage", ["my-package"]) == ("my-pakage", "my-package")
    assert not is_near("lock", "lock") and not is_near("lock", "locket")


def test_well_known_packages_are_no_slips() -> None:
    """Packages that many use are not asked about, however near their names are."""
    names = """bpython conda ctransformers dask django dvc geopy gym jax lxml modin mypy nltk
    pydantic-ai pymc pyomo pypdf pytest-env rich ruff sacred scipp scrapy sktime torchdata
    torchgeo torchtext uproot uvicorn uxarray vllm xlrd"""
    assert [name for name in names.split() if find_near(name)] == []


def test_words_of_pip_are_packages_behind_two_dashes() -> None:
    """Elsewhere the first is dropped, and another command is refused."""
    step = parse(["--", "install", "update"])
    assert step is not None and step.requirements == ("install", "update")
    step = parse(["install", "numpy"])
    assert step is not None and step.requirements == ("numpy",)
