"""Logins for git, which installers start: through its environment, never in its arguments.

uv and pip pass the URL of a requirement to git as an argument, which every process of the machine
can read. So the login is taken out of the URL, and a credential helper prints it to git.
Sources: gitcredentials (helpers, an empty one that resets the list), git-config (``GIT_CONFIG_*``).
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, Sequence, Tuple
from urllib.parse import unquote

from ..core.errors import InstallFailed
from ..core.redact import register_secret, userinfo_spans

#: Server, such as ``https://host:8443`` → name and password.
Logins = Dict[str, Tuple[str, str]]

_CONTROL = re.compile(r"\b(\w+)\+(\w+)://$")
#: A function of git's own shell, so that its words, the operation among them, are no arguments.
_HELPER = (
    '!f() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$COLAB_MAGICS_USER_{0}" "$COLAB_MAGICS_TOKEN_{0}"; }}; f'
)


def without_logins(lines: Sequence[str]) -> Tuple[List[str], Logins]:
    """Return the lines of a requirements file without the logins of git, and these logins.

    `InstallFailed` where a password cannot be kept out of a program's arguments.
    """
    bare: List[str] = []
    logins: Logins = {}
    for line in lines:
        for start, end in reversed([*userinfo_spans(line)]):
            control = _CONTROL.search(line[:start].lower())
            name, _, password = map(unquote, line[start:end].partition(":"))
            if not control or (control[2] == "ssh" and not password):
                continue  # the installer itself asks there; a name for ssh is no secret
            register_secret(password or name)
            host = re.split(r"[/?#\s]", line[end + 1 :])[0].lower()
            server = f"{control[2]}://{host}"
            if control[1] != "git" or control[2] not in ("http", "https"):
                raise _refused(f"{control[0]} shows a password to every process of this machine.")
            if logins.setdefault(server, (name, password)) != (name, password):
                raise _refused("The line has two logins for one git server.")
            line = line[:start] + line[end + 1 :]
        bare.append(line)
    return bare, logins


def git_environment(logins: Logins) -> Dict[str, str]:
    """Return the variables by which git logs in to these servers."""
    if not logins:
        return {}
    count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    variables: Dict[str, str] = {"GIT_TERMINAL_PROMPT": "0"}
    for number, (server, (name, password)) in enumerate(logins.items()):
        for helper in ("", _HELPER.format(number)):  # the user's own would store it
            variables[f"GIT_CONFIG_KEY_{count}"] = f"credential.{server}.helper"
            variables[f"GIT_CONFIG_VALUE_{count}"] = helper
            count += 1
        variables[f"COLAB_MAGICS_USER_{number}"] = name
        variables[f"COLAB_MAGICS_TOKEN_{number}"] = password
    return {**variables, "GIT_CONFIG_COUNT": str(count)}


def _refused(reason: str) -> InstallFailed:
    hint = "Take the password out of the line; for a private one: %github clone URL --token NAME"
    return InstallFailed(f"{reason} Nothing was installed.", hint, code="exposed-password")
