"""TensorFlow: what its ``build_info.py`` lists, which is text."""

import re
from importlib.metadata import PackageNotFoundError, version
from typing import Optional

from .fatbin import Capability, Kernels, architecture
from .frameworks import Build, folder_of


_INFO = ("python", "platform", "build_info.py")
#: Of its dictionary, which is written as pairs (2.17) or as a literal.
_CUDA = re.compile(r"['\"]cuda_version['\"]\s*[,:]\s*['\"](\d+)(?:\.(\d+))?")
_CODE = re.compile(r"\b(sm|compute)_(\d+)")


class TensorFlow:
    """The tensorflow that this interpreter would import."""

    name = "tensorflow"

    def find(self) -> Optional[Build]:
        """See `Framework`."""
        folder = folder_of("tensorflow")
        if folder is None:
            return None
        try:
            text = folder.joinpath(*_INFO).read_text(encoding="utf-8")
        except OSError:
            return None
        found = _CUDA.search(text)
        cuda = (int(found.group(1)), int(found.group(2) or 0)) if found else None
        codes = [(kind, architecture(int(number))) for kind, number in _CODE.findall(text)]
        sass = frozenset(code for kind, code in codes if kind == "sm")
        ptx = frozenset(code for kind, code in codes if kind == "compute")
        return Build("tensorflow", _version(), cuda, Kernels(sass, ptx), _INSTEAD)

    def newer(self, card: Capability) -> str:
        """See `Framework`."""
        return "take a newer one: %pin --upgrade tensorflow"

    def older(self, card: Capability) -> str:
        """See `Framework`."""
        return "take an older one"


_INSTEAD = "%pin 'tensorflow[and-cuda]'"


def _version() -> str:
    for name in ("tensorflow", "tensorflow-cpu", "tf-nightly"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "?"
