"""Badges that open a notebook elsewhere, in the forms that the services themselves give.

Sources: colab.research.google.com/github (its "Open in Colab" page), mybinder.org (the form on its
front page), and Kaggle's "Open in Kaggle" badge.
"""

from __future__ import annotations

from urllib.parse import quote

_COLAB = "https://colab.research.google.com"
_BINDER = "https://mybinder.org"
_KAGGLE = "https://kaggle.com"


def badges(repository: str, ref: str, path: str) -> str:
    """Return the markdown of the three badges, one a line."""
    binder = f"{_BINDER}/v2/gh/{repository}/{quote(ref, safe='')}?labpath={quote(path, safe='')}"
    kaggle = f"{_KAGGLE}/kernels/welcome?src=https://github.com/{_blob(repository, ref, path)}"
    lines = (
        ("Open In Colab", f"{_COLAB}/assets/colab-badge.svg", colab(repository, ref, path)),
        ("Binder", f"{_BINDER}/badge_logo.svg", binder),
        ("Open in Kaggle", f"{_KAGGLE}/static/images/open-in-kaggle.svg", kaggle),
    )
    return "\n".join(f"[![{name}]({image})]({url})" for name, image, url in lines)


def colab(repository: str, ref: str, path: str) -> str:
    """Return the address that opens a notebook of a repository in Colab."""
    return f"{_COLAB}/github/{_blob(repository, ref, path)}"


def _blob(repository: str, ref: str, path: str) -> str:
    # Parentheses would end a link of markdown.
    return f"{repository}/blob/{quote(ref)}/{quote(path)}"
