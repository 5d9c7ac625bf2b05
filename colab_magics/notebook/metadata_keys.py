"""Values in a notebook's metadata: the lock, the GPU to ask for, where it is saved and was made.

Pure: metadata in, metadata out. Source of Colab's part: notebooks that Colab has saved with a GPU,
which have ``"accelerator": "GPU"`` and ``"colab": {"gpuType": "T4"}``.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Callable, Dict, Mapping, Optional

#: The key of ours in the metadata of notebooks and cells.
KEY = "colab_magics"

#: Name of a value -> a key of the metadata, and a key in the object that is its value.
_PLACES = {
    "lock": (KEY, "lock"),
    "gpu": ("colab", "gpuType"),
    "github": (KEY, "github"),
    "made_on": (KEY, "made_on"),
    "trust": (KEY, "trust"),
}
#: Colab's key that says whether a GPU is asked for at all.
_ACCELERATOR = "accelerator"
_LOAD = re.compile(r"%(re)?load_ext colab_magics[ \t\r]*")


def _read(name: str, metadata: Any) -> Optional[str]:
    """Return a value, or None where there is none; ``GPU`` where any GPU is asked for."""
    key, inner_key = _PLACES[name]
    text = _part(metadata, key).get(inner_key)
    if name == "gpu":
        asks = isinstance(metadata, Mapping) and metadata.get(_ACCELERATOR) == "GPU"
        text = (text if isinstance(text, str) else "GPU") if asks else None
    return text if isinstance(text, str) else None


#: Name of a value -> the function that reads it from the metadata.
READERS: Dict[str, Callable[[Any], Optional[str]]] = {
    name: partial(_read, name) for name in _PLACES
}


def changed(metadata: Mapping[str, Any], name: str, value: Optional[str]) -> Dict[str, Any]:
    """Return the keys to set for a value, with None for a key to remove; may be empty."""
    if READERS[name](metadata) == value:
        return {}
    key, inner_key = _PLACES[name]
    part = {k: v for k, v in _part(metadata, key).items() if k != inner_key}
    if value is not None:
        part[inner_key] = value
    new: Dict[str, Any] = {key: part or None}
    if name == "gpu":
        new[_ACCELERATOR] = None if value is None else "GPU"
    return new


def was_setup(source: str, metadata: Any) -> bool:
    """Return whether a cell without our marker was a setup cell: by its role, and a line of ours.

    Its line that loads this package has to be there too: a person may have made another cell of
    it. Which code runs is never decided by this. The front-end extension has the same rule.
    """
    part = _part(metadata, KEY)
    version = part.get("version")
    is_ours = part.get("role") == "setup" and version == 1 and version is not True
    return is_ours and any(map(_LOAD.fullmatch, source.split("\n")))


def _part(metadata: Any, key: str) -> Mapping[str, Any]:
    part = metadata.get(key) if isinstance(metadata, Mapping) else None
    return part if isinstance(part, Mapping) else {}
