"""Why requirements exclude each other, from an installer's explanation: its core, in one line.

uv explains by steps ("Because A depends on B and you require C, we can conclude that D. And
because ..."), pip by a list ("A depends on B", "The user requested C"). What is concluded follows
from the premises, and what is asked for from what has needs of its own: the core is the rest.
"""

import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from .installed import canonical_name
from .requirements import requirement

__all__ = ["core"]

_PREMISES = re.compile(r"\b[Bb]ecause (.*?), we can conclude that ")
_NEED = re.compile(r"(.+?) depends? on (.+)")
_ASKS = re.compile(r"(?:you require|The user requested) (?:\(constraint\) )?(.+)")
_BARE = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?((?:[<>=!~]=?=?[\w.*+!,]+)*)")
#: Of what an explanation may have, the most that is a core.
_MOST = 5


class _Need(NamedTuple):
    """What something needs; ``who`` is empty for what was asked for."""

    who: str
    what: str


def core(said: Sequence[str], line: Sequence[str]) -> Tuple[str, str]:
    """The core of a conflict, and the whole; empty where an installer speaks of none.

    ``line`` are the requirements that were asked for: all others were asked for by constraints.
    """
    start = _beginning(said)
    if start is None:
        return "", ""
    end = next((at for at in range(start, len(said)) if _ends(said[at])), len(said))
    whole = [re.sub(r"^\s*(cause:|╰─▶|×)?\s*", "", one) for one in said[start:end]]
    pieces = list(_by_steps(whole) or _by_list(whole))
    needs = [piece for piece in pieces if isinstance(piece, _Need)]
    deep = _from_above(needs)
    parts = [f"{_spaced(need.who)} needs {need.what}" for need in deep]
    users = {_name(need.who) for need in deep} - {_name(need.what) for need in deep}
    asked = [need.what for need in needs if not need.who]
    parts += _asking([one for one in asked if _name(one) not in users], line)
    if len(parts) < 2:
        parts = [*(piece for piece in pieces if isinstance(piece, str)), *parts]
    parts = parts[-_MOST:]
    text = ", and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
    return text, "\n".join(whole[:8])


def _beginning(said: Sequence[str]) -> Optional[int]:
    """Where an explanation begins."""
    for at, line in enumerate(said):
        if re.match(r"\s*(cause:|╰─▶)?\s*Because ", line):
            return at
        if line.startswith("The conflict is caused by:"):
            return at + 1
    return None


def _ends(line: str) -> bool:
    return line.startswith(("hint:", "To fix this", "DEBUG ", "ERROR:", "Additionally,"))


def _by_steps(whole: Sequence[str]) -> List[Union[_Need, str]]:
    """The premises of uv's explanation; those that it has concluded itself are left out."""
    text = re.sub(r"\{[^}]*\}", "", " ".join(whole))
    found: List[Union[_Need, str]] = []
    for premises in _PREMISES.findall(text):
        last: Optional[_Need] = None
        for piece in re.split(r",? and (?!because)", premises):
            if piece.startswith("we know from"):
                continue
            more = last is not None and _BARE.fullmatch(piece)
            read = _Need(_whose(last, piece), piece) if last and more else _read(piece)
            found.append(read)
            last = read if isinstance(read, _Need) else None
    return found


def _whose(last: _Need, piece: str) -> str:
    """Whose need it is where only a requirement is said: a second of one name is a constraint."""
    return "" if _name(last.what) == _name(piece) else last.who


def _by_list(whole: Sequence[str]) -> Iterator[Union[_Need, str]]:
    """The lines of pip's list."""
    for one in whole:
        yield _read(one.split(";")[0].strip())


def _read(piece: str) -> Union[_Need, str]:
    """What one premise says; as it stands where it is none of the usual."""
    asks, need = _ASKS.fullmatch(piece), _NEED.fullmatch(piece)
    if asks:
        return _Need("", asks.group(1))
    if need:
        listed = re.sub(r"^one of: ", "", need.group(2)).split()
        what = f"one of {', '.join(listed)}" if "one of:" in need.group(2) else need.group(2)
        return _Need(re.sub(r"^all versions ", "every version ", need.group(1)), what)
    return piece


def _from_above(needs: Sequence[_Need]) -> List[_Need]:
    """The needs of distributions: what is needed comes after what needs it, each said once."""
    once: Dict[Tuple[str, str], _Need] = {}
    for need in needs:
        if need.who:
            once.setdefault((_name(need.who), need.what), need)
    needed = {_name(need.what) for need in once.values()}
    return sorted(once.values(), key=lambda need: _name(need.who) in needed)


def _asking(asked: Sequence[str], line: Sequence[str]) -> List[str]:
    """What is asked for, by the line where it stands there so, else by a constraint."""
    there = {_normal(text) for text in map(_bare, line)}
    mine = [one for one in dict.fromkeys(asked) if _normal(one) in there]
    others = [one for one in dict.fromkeys(asked) if one not in mine]
    return [
        f"{who} for {' and '.join(found)}"
        for who, found in (("the line asks", mine), ("a constraint asks", others))
        if found
    ]


def _bare(text: str) -> str:
    one = requirement(text)
    return f"{one.name}{one.specifier}"


def _normal(text: str) -> str:
    """A requirement with its specifiers in the order that a parsed one has."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    found = _BARE.fullmatch(text)
    try:
        return f"{_name(text)} {SpecifierSet(found.group(2) if found else '')}"
    except InvalidSpecifier:
        return text


def _name(text: str) -> str:
    found = re.match(r"(?:every version of |one of )?([A-Za-z0-9][\w.-]*)", text)
    return canonical_name(found.group(1)) if found else ""


def _spaced(text: str) -> str:
    """``numpy==1.24`` as people say it, ``numpy 1.24``."""
    return re.sub(r"^([\w.-]+)==([\w.+!]+)$", r"\1 \2", text)
