"""What a ``%fetch`` line would ask and write; see ``core/effects.py``."""

from __future__ import annotations

import os
from pathlib import Path

from ..core.effects import Danger, Effects, contact, join, write
from ..core.errors import ColabMagicsError
from ..core.host import Host
from .spec import FetchSpec
from .urls import read_url


def describe_effects(step: FetchSpec, host: Host) -> Effects:
    """Return the effects of one file; the name of one in a folder may be the server's."""
    step = step.settled(host)
    request = read_url(step.url)
    secrets = [name for name in (step.token, _find_login(step.url)) if name]
    url = request.url or request.listing
    effects = [contact(url, secrets)]
    folder = step.dest or "."
    effects.append(
        write(host, lambda: host.resolve(folder), folder, tree=step.unpack or step.in_folder)
    )
    if step.cache:
        effects.append(write(host, lambda: host.resolve(step.cache), step.cache, tree=True))
    if step.unpack:
        effects.append(_describe_unpacking(step, host))
    return join(effects)


def _find_login(url: str) -> str:
    """Return the name of the login that a service takes by itself."""
    return "KAGGLE_KEY" if url.lower().startswith("kaggle:") else ""


def _describe_unpacking(step: FetchSpec, host: Host) -> Effects:
    """Return the danger of an archive over what is in a repository, its hooks among that."""
    try:
        place = Path(os.path.realpath(host.resolve(step.dest or ".")))
    except ColabMagicsError:
        return Effects()
    around = (place, *place.parents)
    if not place.exists() or not any((x / ".git").exists() or x.name == ".git" for x in around):
        return Effects()
    return Effects(dangers=(Danger("into-repository", step.dest or "."),))
