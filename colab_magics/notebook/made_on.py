"""Where a notebook was made: image, Python and GPU, as text for its metadata.

Pure but for `read_image`. The text has the form ``python=3.12.11&image=colab+release&gpu=Tesla+T4``
(`metadata_keys`, the value ``made_on``); it may have been written by anybody.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import parse_qsl, urlencode

#: The host → the variable with which it names the image that a machine was made of.
_IMAGES = {"Colab": "COLAB_RELEASE_TAG", "Kaggle": "KAGGLE_DOCKER_IMAGE"}
#: The value for a machine that has no GPU.
NO_GPU = "none"
#: No part is longer, and none has other characters.
_PART = re.compile(r"[\w.:/@+ ,()-]{1,200}", re.ASCII)
_PYTHON = re.compile(r"3\.\d{1,2}(\.\d{1,3})?")
#: The day in an image's name: ``release-colab_20250822-060052_RC00``, ``colab-20250822-...``.
_DAY = re.compile(r"(?<!\d)(20\d\d)([01]\d)([0-3]\d)(?!\d)")


class Difference(NamedTuple):
    """A part (``python``, ``image`` or ``gpu``) as it was where the notebook was made, and here."""

    part: str
    then: str
    now: str


@dataclass(frozen=True)
class MadeOn:
    """Where a notebook was made; an empty part is not known.

    ``python`` such as ``3.12.11``, ``image`` such as ``Colab release-colab_20250822-060052_RC00``,
    ``gpu`` such as ``Tesla T4`` or `NO_GPU`.
    """

    python: str = ""
    image: str = ""
    gpu: str = ""

    def encode(self) -> str:
        """Return it as text for the notebook's metadata."""
        parts = {name: text for name, text in asdict(self).items() if _PART.fullmatch(text)}
        return urlencode(parts)

    @classmethod
    def decode(cls, text: Optional[str]) -> Optional[MadeOn]:
        """Return what a text from `encode` says; None where it says nothing, or is none."""
        try:
            parts = dict(parse_qsl(text or "", max_num_fields=8))
        except ValueError:
            return None
        names = [field.name for field in fields(cls)]
        known = {name: parts[name] for name in names if _PART.fullmatch(parts.get(name, ""))}
        if not _PYTHON.fullmatch(known.get("python", "")):
            return None
        return cls(**known)

    @property
    def minor(self) -> str:
        """The Python without its patch release: ``3.12``."""
        return ".".join(self.python.split(".")[:2])

    def describe(self) -> str:
        """Return it in words: ``Python 3.12, Tesla T4, Colab image of 2025-08-22``."""
        gpu = "no GPU" if self.gpu == NO_GPU else self.gpu
        return ", ".join(filter(None, [f"Python {self.minor}", gpu, describe_image(self.image)]))

    def compare(self, here: MadeOn) -> Tuple[Difference, ...]:
        """Return what differs here. A patch release and a GPU where there was none do not count."""
        found: List[Difference] = []
        if self.minor != here.minor:
            found.append(Difference("python", self.minor, here.minor))
        if self.image and self.image != here.image:
            found.append(Difference("image", self.image, here.image))
        if self.gpu not in ("", NO_GPU, here.gpu):
            found.append(Difference("gpu", self.gpu, here.gpu))
        return tuple(found)


def find_day(image: str) -> str:
    """Return the day in the name of an image, as ``2025-08-22``; empty where it has none."""
    match = _DAY.search(image)
    with suppress(ValueError):  # no day at all, such as 2025-19-39
        return date(*map(int, match.groups())).isoformat() if match else ""
    return ""


def describe_image(image: str) -> str:
    """Return an image in words: by its day where its name has one."""
    host, _, name = image.partition(" ")
    day = find_day(name)
    if day:
        return f"{host} image of {day}"
    return f"{host} image {name.rpartition('@')[2][:19]}" if name else host


def read_image(environment: Mapping[str, str] = os.environ) -> str:
    """Return the host and its image, as its variable names it; empty where no host does."""
    for host, name in _IMAGES.items():
        value = environment.get(name, "")
        if value:
            return f"{host} {value}"[:200]
    return ""


def read_language(metadata: Any) -> str:
    """Return the Python that a notebook's ``language_info`` names; empty where it names none."""
    info: Any = metadata.get("language_info") if isinstance(metadata, dict) else None
    version = info.get("version") if isinstance(info, dict) else None
    return version if isinstance(version, str) and _PYTHON.fullmatch(version) else ""
