"""What a ``%pin`` line would install, and from where; see ``core/effects.py``."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import FrozenSet, Iterator, List, NamedTuple, Tuple

from ..core.effects import SERVICES, Danger, Effects, clean_text, contact, join, read_hosts, write
from ..core.errors import input_errors
from ..core.host import Host
from ..core.redact import userinfo_spans
from .environments.interpreters import runs
from .options import Options
from .pip_config import PipSettings, read_settings
from .requirements import read_file, requirement, split_extras

#: An option of a requirements file, or of a line, that names where packages come from.
_OPTION = re.compile(r"(-i|--index-url|--extra-index-url|-f|--find-links)[\s=]*(\S+)")
#: Where uv is told so.
_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")


class PinLine(NamedTuple):
    """The parts of a line, as `PinStep` has them."""

    requirements: Tuple[str, ...]
    files: Tuple[str, ...]
    folders: Tuple[str, ...]
    options: Options
    python: str


def describe_effects(line: PinLine, host: Host) -> Effects:
    """Return the effects of a line; what it builds may do more than can be known."""
    texts, lines = list(line.requirements), list(map(" ".join, line.options.pairs))
    effects: List[Effects] = []
    for file in line.files:
        try:
            inner, options = read_file(host.resolve(file))
            texts, lines = [*texts, *inner], [*lines, *options]
        except input_errors():  # an earlier line may bring it
            effects.append(Effects(unknown=(f"what {clean_text(file)} names",)))
    for folder in line.folders:  # its own code runs, and writes into it
        path = split_extras(folder)[0]
        place = partial(host.resolve, path)
        effects += [Effects(installs=(clean_text(f"-e {folder}"),)), write(host, place, path)]
    effects.append(Effects(installs=tuple(map(clean_text, texts))))
    effects += [contact(url) for text in texts for url in [requirement(text).url] if url]
    effects += _list_sources(lines, line.options)
    if not runs(line.python):
        python = Effects(installs=(f"Python {line.python}, in an environment of its own",))
        effects += [python, contact("https://github.com")]
    return join(effects)


def _list_sources(lines: List[str], options: Options) -> Iterator[Effects]:
    """Yield the effects of asking the indexes: those of the line, and of this machine."""
    named = [match.groups() for match in map(_OPTION.match, lines) if match]
    urls = [url for _, url in named if "://" in url]
    replaced = any(option in ("-i", "--index-url") for option, _ in named)
    own = read_settings()
    machine = _list_machine(own)
    yield Effects(indexes=tuple(map(clean_text, urls)))
    secrets = tuple(value for option, value in options.pairs if option == "--index-auth")
    for url in urls:
        yield contact(url, secrets)
        others = [x for x in read_hosts(url) if x not in SERVICES]
        if _plain(url) not in machine:
            yield Effects(dangers=tuple(Danger("other-index", other) for other in others))
    backend = dict(options.pairs).get("--torch-backend", "") or own.values.get("torch-backend")
    if backend:
        urls.append(f"https://download.pytorch.org/whl/{backend}")
        yield contact(urls[-1])
    for url in (*own.indexes[replaced:], *own.words("find-links"), *_list_variables()):
        if "://" in url:
            yield Effects(indexes=(clean_text(url),))
            # This machine is set so: nothing about it is the notebook's doing.
            yield Effects(hosts=contact(url).hosts, redirects=contact(url).redirects)
    for option, value in options.pairs:
        if option == "--constraint" and "://" in value:
            yield contact(value)


def _list_machine(own: PipSettings) -> FrozenSet[str]:
    """Return the indexes that this machine is set to, without logins."""
    places = (*own.indexes, *own.words("find-links"), *_list_variables())
    return frozenset(map(_plain, places))


def _list_variables() -> Tuple[str, ...]:
    texts = (os.environ.get(name, "") for name in _VARIABLES)
    return tuple(
        word.partition("=")[2] if re.match(r"[\w-]+=", word) else word
        for text in texts
        for word in re.split(r"[\s,]+", text)
        if word
    )


def _plain(url: str) -> str:
    for start, end in reversed(list(userinfo_spans(url))):
        url = url[:start] + url[end + 1 :]
    return url.rstrip("/").lower()
