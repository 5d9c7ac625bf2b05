"""What a setup cell sets up, as the data that every format is made of; secrets by name alone.

The one door for values: no field has what some format's language could take for more than a value
(controls, ends of lines, ``$``, braces), so that a format has only to quote.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from typing import Any, ClassVar, Iterator, Mapping, Tuple

from ..core.controls import visible

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_APT = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?(=[A-Za-z0-9_.+~:*-]+)?")
_REFUSED = r"[^\s'\"\\<>`]+"
_URL = re.compile(rf"(https?|ssh|git|file)://{_REFUSED}|[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+:{_REFUSED}")
_REVISION = re.compile(rf"((?!-){_REFUSED})?")
_REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:(?! --hash)[^\\`#])*(#[^\s'\"\\`#]+)?( --hash=[a-z0-9]+:[0-9a-f]+)*"
)
#: Lines of requirements files have no quotes that all installers read alike.
_UNQUOTED = re.compile(r"[^\s'\"\\#]*")
_DIGITS = re.compile("([0-9a-f]{64})?")
_EXPANDED = set("${}")


class Place(str):
    """A path of the setup cell: absolute, below home (``~/x``), or from the notebook's folder."""

    def __new__(cls, text: str) -> Place:
        """Return a path that no program takes for an option."""
        return super().__new__(cls, f"./{text}" if text.startswith("-") else text)

    @property
    def below_home(self) -> str:
        """The part behind ``~``; empty for other paths."""
        return self[1:] or "/" if self == "~" or self.startswith("~/") else ""


@dataclass(frozen=True)
class Item:
    """A line of the setup cell, as messages show it, and what it sets up.

    `ValueError` for a value that no line of a setup cell has: ``forms`` are those of fields.
    """

    line: str
    kind: ClassVar[str]
    forms: ClassVar[Mapping[str, re.Pattern[str]]] = {}

    def __post_init__(self) -> None:
        texts = list(_texts(astuple(self)[1:]))
        if any(visible(text, allow="") != text or _EXPANDED & set(text) for text in texts):
            raise ValueError("a value with a control, or that would be expanded")
        for name, form in self.forms.items():
            if not all(map(form.fullmatch, _texts(getattr(self, name)))):
                raise ValueError(f"a value in {name} that not every format can say")


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value; of pairs too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _texts(part)


@dataclass(frozen=True)
class Pins(Item):
    """Requirements (PEP 508, with ``--hash``), editable folders, and options as pairs."""

    requirements: Tuple[str, ...] = ()
    folders: Tuple[Place, ...] = ()
    options: Tuple[Tuple[str, str], ...] = ()
    kind = "pin"
    forms = {"requirements": _REQUIREMENT, "folders": _UNQUOTED, "options": _UNQUOTED}

    def __post_init__(self) -> None:
        from packaging.requirements import Requirement

        super().__post_init__()
        for text in self.requirements:
            Requirement(text.partition(" --hash=")[0])  # raises a `ValueError`

    @property
    def hashed(self) -> bool:
        """Whether its requirements have hashes, which an installer wants of all or of none."""
        return any(" --hash=" in text for text in self.requirements)

    def values(self, option: str) -> Tuple[str, ...]:
        """Return the values of an option."""
        return tuple(value for name, value in self.options if name == option)


@dataclass(frozen=True)
class Apt(Item):
    """Packages of the system, as Debian's apt-get takes them."""

    packages: Tuple[str, ...]
    kind = "apt"
    forms = {"packages": _APT}


@dataclass(frozen=True)
class Variables(Item):
    """Variables of the environment; ``mode`` is ``prepend`` or ``append`` for lists of folders."""

    names: Tuple[str, ...]
    values: Tuple[str, ...]
    mode: str = ""
    kind = "env"
    forms = {"names": _NAME}

    @property
    def pairs(self) -> Iterator[Tuple[str, Place]]:
        """The names with their values."""
        return zip(self.names, map(Place, self.values)) if self.mode else self._plain()

    def _plain(self) -> Iterator[Tuple[str, Place]]:
        for name, value in zip(self.names, self.values):
            yield name, str.__new__(Place, value)  # which is no path: as it is


@dataclass(frozen=True)
class Secrets(Item):
    """Names of variables that are set to secrets."""

    names: Tuple[str, ...]
    kind = "secret"
    forms = {"names": _NAME}


@dataclass(frozen=True)
class Clone(Item):
    """A repository in a folder, at a commit, branch or tag (empty: the newest)."""

    url: str
    folder: Place
    revision: str = ""
    submodules: bool = False
    kind = "clone"
    forms = {"url": _URL, "revision": _REVISION}


@dataclass(frozen=True)
class Download(Item):
    """A file of the web at its place; ``sha256`` may be empty."""

    url: str
    path: Place
    sha256: str = ""
    kind = "fetch"
    forms = {"url": _URL, "sha256": _DIGITS}


@dataclass(frozen=True)
class Directory(Item):
    """The directory that the notebook works in; ``make`` where it is missing."""

    path: Place
    make: bool = False
    kind = "cd"


@dataclass(frozen=True)
class Gpu(Item):
    """GPUs that are required, by their name (empty: any), and the other requirements in words."""

    name: str = ""
    count: int = 1
    more: str = ""
    kind = "gpu"
    forms = {"name": re.compile(r"[A-Za-z0-9.-]*")}


@dataclass(frozen=True)
class Drive(Item):
    """A drive that is mounted."""

    kind = "drive"


@dataclass(frozen=True)
class Unknown:
    """A line that no format holds, with the reason and its code."""

    line: str
    code: str
    reason: str
    kind: ClassVar[str] = "unknown"


@dataclass(frozen=True)
class Code:
    """Code of the user's own, verbatim."""

    line: str
    text: str
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Recipe:
    """The items of a setup cell in their order, and what the notebook has recorded beside them.

    ``python`` is a version such as ``3.12``, or empty; ``lock`` a ``pylock.toml``, or empty, and
    ``locked`` its versions by canonical name; ``package`` what installs colab_magics.
    """

    name: str
    items: Tuple[Any, ...]
    python: str = ""
    lock: str = ""
    locked: Tuple[Tuple[str, str], ...] = ()
    package: str = ""

    def __post_init__(self) -> None:
        for form, text in ((r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name), (r"(3\.\d+)?", self.python)):
            if not re.fullmatch(form, text, re.ASCII):
                raise ValueError("a name or a version that not every format can say")
