"""``ray``: a ``runtime_env`` as data, with uv. Not beside a ``uv run`` driver: Ray refuses that."""

from __future__ import annotations

from typing import Any, Dict, List

from .commands import Programs, option_words
from .formats import File, Packages, as_data


class Ray(Packages):
    """For ``ray.init(runtime_env=json.load(...))``; ray itself is left to the cluster."""

    name = "ray"
    path = "runtime_env.json"
    options = Programs.options
    instead = {"secret": "Ray shows env_vars in its dashboard: set it on the workers"}

    def files(self) -> List[File]:
        """See `Format`."""
        from packaging.requirements import Requirement

        needs = [text for text in self.requirements if Requirement(text).name.lower() != "ray"]
        options = list(dict.fromkeys(word for pins in self.pins for word in option_words(pins)))
        uv: Dict[str, Any] = {"packages": needs}
        uv.update({"uv_pip_install_options": options} if options else {})
        data: Dict[str, Any] = {"uv": uv} if needs else {}
        data.update({"env_vars": self.variables} if self.variables else {})
        return [(self.path, as_data(data))]
