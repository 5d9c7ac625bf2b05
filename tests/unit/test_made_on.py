"""Where a notebook was made: its text, and what differs elsewhere."""

from __future__ import annotations

from typing import List, Optional

import pytest

from colab_magics.notebook.made_on import (
    NO_GPU,
    MadeOn,
    describe_image,
    find_day,
    read_image,
    read_language,
)

pytestmark = pytest.mark.once

COLAB = "Colab release-colab_20250822-060052_RC00"
THERE = MadeOn("3.12.11", COLAB, "Tesla T4")


@pytest.mark.parametrize("made", [THERE, MadeOn("3.8.18"), MadeOn("3.13.0", gpu="2 x NVIDIA L4")])
def test_the_text_reads_back(made: MadeOn) -> None:
    """What is encoded is decoded to the same, and has no character that a form refuses."""
    assert MadeOn.decode(made.encode()) == made
    assert made.encode().isascii() and " " not in made.encode()


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", "off", "python=2.7.18", "python=3.12%0A!rm", "gpu=T4"),
        "python=" + "3" * 500,
        "&".join(["python=3.8"] * 50),
    ],
)
def test_what_is_no_such_text_says_nothing(text: Optional[str]) -> None:
    """Metadata of strangers that do not have the form are as if there were none."""
    assert MadeOn.decode(text) is None


def test_a_part_of_another_form_is_left_out() -> None:
    """A GPU with control characters or markup in its name is not known."""
    assert MadeOn.decode("python=3.12&gpu=%3Cb%3E&image=%1b%5b") == MadeOn("3.12")


@pytest.mark.parametrize(
    ("here", "parts"),
    [
        (THERE, []),
        (MadeOn("3.12.1", COLAB, "Tesla T4"), []),
        (MadeOn("3.13.0", COLAB, "Tesla T4"), ["python"]),
        (MadeOn("3.12.11", COLAB, NO_GPU), ["gpu"]),
        (MadeOn("3.12.11", "", "NVIDIA L4"), ["image", "gpu"]),
    ],
)
def test_what_differs_here(here: MadeOn, parts: List[str]) -> None:
    """The minor Python, the image and the GPU count; a patch release does not."""
    assert [each.part for each in THERE.compare(here)] == parts


def test_more_than_there_was_is_no_difference() -> None:
    """A notebook that was made without a GPU may have one, and no image may become one."""
    assert MadeOn("3.12.1", "", NO_GPU).compare(MadeOn("3.12.2", COLAB, "Tesla T4")) == ()


def test_images_are_those_that_hosts_name() -> None:
    """Colab and Kaggle name theirs by a variable; an image is described by its day."""
    assert read_image({"COLAB_RELEASE_TAG": COLAB[6:]}) == COLAB
    assert read_image({"KAGGLE_DOCKER_IMAGE": "gcr.io/x@sha256:1"}).startswith("Kaggle gcr.io")
    assert read_image({}) == ""
    assert "2025-08-22" in describe_image(COLAB)


@pytest.mark.parametrize(
    ("metadata", "version"),
    [
        ({"language_info": {"version": "3.6.9"}}, "3.6.9"),
        ({"language_info": {"version": "3.x; rm"}}, ""),
        ({"language_info": []}, ""),
        (None, ""),
    ],
)
def test_the_python_that_metadata_name(metadata: object, version: str) -> None:
    """Only a version of Python 3 is one."""
    assert read_language(metadata) == version


@pytest.mark.parametrize(
    ("image", "day"),
    [
        ("Colab release-colab_20250822-060052_RC00", "2025-08-22"),
        ("Colab release-colab_20251939-1", ""),
        ("Colab release", ""),
    ],
)
def test_the_day_of_an_image_is_a_day(image: str, day: str) -> None:
    """What a line to copy would name; a stranger's metadata may name none."""
    assert find_day(image) == day
