"""Values in a notebook's metadata: the lock, the GPU to ask for, where the notebook is saved.

Pure: metadata in, metadata out. Source of Colab's part: notebooks that Colab has saved with a GPU,
which have ``"accelerator": "GPU"`` and ``"colab": {"gpuType": "T4"}``.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict, Mapping, Optional

#: The key of ours in the metadata of notebooks and cells.
KEY = "colab_magics"

#: Value -> a key of the metadata, and the key of the value in the object of that key.
_PLACES = {"lock": (KEY, "lock"), "gpu": ("colab", "gpuType"), "github": (KEY, "github")}
#: Colab's key that says whether a GPU is asked for at all.
_ACCELERATOR = "accelerator"


def _read(what: str, metadata: Any) -> Optional[str]:
    """Return a value, or None where there is none; ``GPU`` where any GPU is asked for."""
    key, name = _PLACES[what]
    if what == "gpu" and not (
        isinstance(metadata, Mapping) and metadata.get(_ACCELERATOR) == "GPU"
    ):
        return None
    text = _part(metadata, key).get(name)
    return text if isinstance(text, str) else "GPU" if what == "gpu" else None


#: Value -> the function that reads it from the metadata.
KEPT: Dict[str, Callable[[Any], Optional[str]]] = {name: partial(_read, name) for name in _PLACES}


def changed(metadata: Mapping[str, Any], what: str, value: Optional[str]) -> Dict[str, Any]:
    """Return the keys that are to be set for a value, None for one that is to go; may be empty."""
    if KEPT[what](metadata) == value:
        return {}
    key, name = _PLACES[what]
    part = {k: v for k, v in _part(metadata, key).items() if k != name}
    if value is not None:
        part[name] = value
    new: Dict[str, Any] = {key: part or None}
    if what == "gpu":
        new[_ACCELERATOR] = None if value is None else "GPU"
    return new


def _part(metadata: Any, key: str) -> Mapping[str, Any]:
    part = metadata.get(key) if isinstance(metadata, Mapping) else None
    return part if isinstance(part, Mapping) else {}
