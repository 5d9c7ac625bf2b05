"""The line of ``%fetch``: URLs, where to, and what goes not together."""

import re
from typing import Dict, List, Optional, Sequence, Tuple, Union

from ..core.arguments import Parser
from ..core.errors import hide, usage_error
from ..secret.lookup import is_name
from .source import exposed
from .step import FetchStep, FetchSteps
from .urls import is_url, source


_SHA256 = re.compile(r"[0-9a-f]{64}")
#: What IPython would expand in a magic's line; a server reads both spellings alike.
_EXPANDED = {"$": "%24", "{": "%7B", "}": "%7D"}
_USAGE = "%fetch URL... [DEST] [--sha256 HEX] [--unpack] [--strip N] [--update] [--token NAME]"


def parse(words: List[str]) -> Optional[Union[FetchStep, FetchSteps]]:
    """The files that a line asks for; None for a bare line."""
    parser = Parser("%fetch", usage=_USAGE)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--sha256", type=str.lower, default="")
    parser.add_argument("--strip", type=int, default=0)
    parser.add_argument("--token", default="")
    for flag in ("--unpack", "--update"):
        parser.add_argument(flag, action="store_true")
    found = parser.parse_intermixed_args(words)
    _judge_token(found.token, found.words)
    if not found.words:
        if words:
            raise usage_error("%fetch: a URL is missing.", "Such as: %fetch https://host/data.csv")
        return None
    urls, dest = _apart(found.words)
    several = sum(2 if source(url).several else 1 for url in urls) > 1
    if found.sha256 and (several or not _SHA256.fullmatch(found.sha256)):
        raise usage_error("%fetch: --sha256 is the hash of one file: 64 digits.", "Check it.")
    if found.strip < 0 or (found.strip and not found.unpack):
        raise usage_error("%fetch: --strip N goes with --unpack.", "Such as: --unpack --strip 1")
    if several and dest and not found.unpack and not dest.endswith(("/", ":")):
        dest += "/"
    common = (dest, found.sha256, found.unpack, found.strip, found.token, found.update)
    return _joined([FetchStep(_safe(url), *common) for url in urls])


def _joined(steps: Sequence[FetchStep]) -> Union[FetchStep, FetchSteps]:
    """One step; no two files get one place."""
    names: Dict[str, int] = {}
    for step in steps:
        names[step.label()] = names.get(step.label(), 0) + 1
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise usage_error(f"%fetch: two of these are {twice[0]}.", "Write a line for each.")
    return steps[0] if len(steps) == 1 else FetchSteps(tuple(steps))


def _apart(words: Sequence[str]) -> Tuple[List[str], str]:
    """URLs and the destination: what stands last and is no URL, or is on the drive."""
    urls, dest = list(words), ""
    if not is_url(urls[-1]) or (len(urls) > 1 and urls[-1].startswith("drive:")):
        dest = urls.pop()
    for text in urls or [dest]:
        if not is_url(text):
            raise usage_error(
                f"%fetch: {text} is no URL.", "Such as: %fetch https://host/data.zip data/"
            )
    return urls, dest


def _judge_token(token: str, words: Sequence[str]) -> None:
    if not token:
        return
    if not is_name(token):
        hide(token)
        raise usage_error(
            "%fetch: --token takes the name of a secret; take the token out of the cell.",
            "Keep it: %secret set NAME, then --token NAME",
        )
    if any(exposed(one) for one in words):
        raise usage_error(
            "%fetch: a token is not sent over http://, where others can read it.",
            "Write https://, or take --token off the line.",
        )


def _safe(url: str) -> str:
    """A URL as it can stand in a cell."""
    return "".join(_EXPANDED.get(char, char) for char in url)
