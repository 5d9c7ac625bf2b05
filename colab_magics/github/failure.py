"""Explain why git failed, from what it printed in the C locale."""

from __future__ import annotations

import re
from enum import Enum
from typing import Sequence

from ..core.errors import SourceError
from .address import Address


class Cause(Enum):
    """Why git failed; the value is the code of the error."""

    NO_REF = "no-ref"
    SSH = "ssh"
    LOGIN = "login-needed"
    REFUSED = "refused"
    DISK_FULL = "disk-full"
    OFFLINE = "offline"
    OVERWRITE = "would-overwrite"
    OTHER = "git-failed"


#: The first that matches counts: git prints several errors after each other, the cause first.
_PATTERNS = {
    Cause.NO_REF: r"not our ref|find remote ref|unadvertised object|[Rr]emote branch .* not found"
    r"|unable to read tree|not a tree|did not match any|not advertised",
    Cause.SSH: r"Could not read from remote",
    Cause.LOGIN: r"could not read (Username|Password)|Authentication failed|prompts disabled"
    r"|error: 40[13]",
    Cause.REFUSED: r"[Rr]epository .*not found|error: 404|[Pp]ermission denied"
    r"|does not (exist|appear)",
    Cause.DISK_FULL: r"(?i)no space left",
    Cause.OFFLINE: r"(?i)could not resolve|failed to connect|couldn.t connect|timed out|early eof"
    r"|hung up|rpc failed|curl \d+|disconnect",
    Cause.OVERWRITE: r"would be overwritten",
}
_PRIVATE = (
    "{name} does not exist, or it is private.\nCheck the name; a private one needs "
    "--token GH_TOKEN: %secret set GH_TOKEN"
)
_MESSAGES = {
    Cause.NO_REF: "{name} has no {ref}.\nCheck the name after @.",
    Cause.SSH: "{name} cannot be read by ssh.\nCheck the key, or use its https address, with "
    "--token NAME for a private one.",
    Cause.LOGIN: _PRIVATE,
    Cause.REFUSED: _PRIVATE,
    Cause.DISK_FULL: "The disk is full.\nFree some space, and run it again.",
    Cause.OFFLINE: "{host} did not answer, or stopped half way.\nNothing was changed. Check the "
    "network, and run it again.",
    Cause.OVERWRITE: "{folder} contains files of yours that git would overwrite; it was left as it "
    "is.\nMove them away, and run it again.",
    Cause.OTHER: "git could not fetch {name}.\nIts reason is below.",
}
_ACCESS_DENIED = (
    "{name} cannot be read with that token.\nCheck what the token may read, whether it has "
    "expired, and the name."
)
_NO_SUBMODULE = (
    "{name}: its submodule {path} {reason}.\nLeave --submodules out, or tell its authors. A token "
    "is sent to the server of the repository alone."
)
#: The path of a submodule that could not be cloned, or updated.
_SUBMODULE = re.compile(r"Failed to clone '([^']+)'|submodule path '(?:[^']*\.cloning/)?([^']+)'")


def classify_failure(address: Address, errors: Sequence[str]) -> Cause:
    """Return the cause that git's own errors name; what a server says is not among them."""
    text = "\n".join(errors)
    for cause, pattern in _PATTERNS.items():
        if re.search(pattern, text) and (cause != Cause.SSH or address.scheme in ("", "ssh")):
            return cause
    return Cause.OTHER


def explain_failure(address: Address, lines: Sequence[str], has_token: bool) -> SourceError:
    """Return the error for a command that failed, with what to do."""
    errors = [line for line in lines if line.startswith(("fatal:", "error:"))]
    cause, details = classify_failure(address, errors), errors[-3:]
    message, code = _MESSAGES[cause], cause.value
    name, folder = address.repository, address.name
    words = {"name": name, "folder": folder, "ref": address.ref, "host": address.host or name}
    submodule = _SUBMODULE.search("\n".join(errors))
    if submodule:
        message, code = _NO_SUBMODULE, "submodule"
        lacks = cause == Cause.NO_REF or "did not contain" in submodule.string
        words["reason"] = "no longer has the commit" if lacks else "cannot be read"
        words["path"] = submodule[1] or submodule[2]
    elif cause in (Cause.LOGIN, Cause.REFUSED) and has_token:
        message = _ACCESS_DENIED
    elif cause == Cause.OVERWRITE:
        details = [line.strip() for line in lines if line.startswith(("\t", "        "))][:5]
    elif cause in (Cause.SSH, Cause.OTHER):
        details = [*lines[-6:]]
    message, hint = (part.format(**words) for part in message.split("\n"))
    return SourceError(message, hint, "\n".join(details), code=code)
