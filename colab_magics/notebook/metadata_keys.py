"""What is kept in a notebook's metadata beside its cells: lock, GPU to ask for, where it is saved.

Pure: metadata in, metadata out. Source of Colab's part: notebooks that Colab has saved with a GPU,
which have ``"accelerator": "GPU"`` and ``"colab": {"gpuType": "T4"}``.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Tuple

#: The key of ours in the metadata of notebooks and cells.
KEY = "colab_magics"

_COLAB, _ACCELERATOR = "colab", "accelerator"


def lock_in(metadata: Any) -> Optional[str]:
    """The text of the lock, or None where there is none."""
    text = _part(metadata, KEY).get("lock")
    return text if isinstance(text, str) else None


def gpu_in(metadata: Any) -> Optional[str]:
    """The GPU that Colab is to be asked for, ``GPU`` for any, or None where none is asked for."""
    if not isinstance(metadata, Mapping) or metadata.get(_ACCELERATOR) != "GPU":
        return None
    name = _part(metadata, _COLAB).get("gpuType")
    return name if isinstance(name, str) else "GPU"


def target_in(metadata: Any) -> Optional[str]:
    """Where ``%github save`` saves it, or None where that is not known."""
    text = _part(metadata, KEY).get("github")
    return text if isinstance(text, str) else None


#: What is kept, by the name that writers know it by.
KEPT: Dict[str, Callable[[Any], Optional[str]]] = {
    "lock": lock_in,
    "gpu": gpu_in,
    "github": target_in,
}
#: Where each stands: a key of the metadata, and a name in what that holds.
_WHERE: Dict[str, Tuple[str, str]] = {
    "lock": (KEY, "lock"),
    "gpu": (_COLAB, "gpuType"),
    "github": (KEY, "github"),
}


def changed(metadata: Mapping[str, Any], what: str, value: Optional[str]) -> Dict[str, Any]:
    """The keys that are other values now, None for one that is to go; empty: it is so already."""
    if KEPT[what](metadata) == value:
        return {}
    key, name = _WHERE[what]
    part = {k: v for k, v in _part(metadata, key).items() if k != name}
    part.update({} if value is None else {name: value})
    new: Dict[str, Any] = {key: part or None}
    if what == "gpu":
        new[_ACCELERATOR] = None if value is None else "GPU"
    return new


def _part(metadata: Any, key: str) -> Mapping[str, Any]:
    part = metadata.get(key) if isinstance(metadata, Mapping) else None
    return part if isinstance(part, Mapping) else {}
