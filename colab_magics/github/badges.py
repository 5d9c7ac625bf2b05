"""Badges that open a notebook elsewhere, in the forms that the services themselves give.

Sources: colab.research.google.com/github (its "Open in Colab" page), mybinder.org (the form on its
front page), and Kaggle's "Open in Kaggle" badge.
"""

from __future__ import annotations

from typing import Tuple
from urllib.parse import quote


def badges(repository: str, ref: str, path: str) -> str:
    """The markdown of the three badges, one a line."""
    blob = _blob(repository, ref, path)
    binder = f"https://mybinder.org/v2/gh/{repository}/{quote(ref, safe='')}"
    lines: Tuple[Tuple[str, str, str], ...] = (
        (
            "Open In Colab",
            "https://colab.research.google.com/assets/colab-badge.svg",
            colab(repository, ref, path),
        ),
        (
            "Binder",
            "https://mybinder.org/badge_logo.svg",
            f"{binder}?labpath={quote(path, safe='')}",
        ),
        (
            "Open in Kaggle",
            "https://kaggle.com/static/images/open-in-kaggle.svg",
            f"https://kaggle.com/kernels/welcome?src=https://github.com/{blob}",
        ),
    )
    return "\n".join(f"[![{name}]({image})]({url})" for name, image, url in lines)


def colab(repository: str, ref: str, path: str) -> str:
    """The address that opens a notebook of a repository in Colab."""
    return f"https://colab.research.google.com/github/{_blob(repository, ref, path)}"


def _blob(repository: str, ref: str, path: str) -> str:
    # Parentheses would end a link of markdown.
    return f"{repository}/blob/{quote(ref)}/{quote(path)}"
