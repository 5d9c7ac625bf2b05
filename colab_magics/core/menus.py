"""What a person clicks for what a Colab machine cannot do by itself, in each front end.

Source for VS Code: the commands of Google's extension, colab-vscode 0.9.
"""

from __future__ import annotations

from .host import Host

_COLAB = {
    "gpu": "Runtime > Change runtime type > GPU",
    "python": "Runtime > Change runtime type > Runtime version",
    "delete": "Runtime > Disconnect and delete runtime",
    "editor": "Tools > Settings > Editor (the theme: Site)",
}
_VSCODE = {
    "gpu": "Select Kernel > Colab > New Colab Server > GPU",
    "python": "Select Kernel > Colab > New Colab Server",
    "delete": "Colab: Remove Server, in the command palette",
    "editor": "File > Preferences > Settings",
}


def menu(host: Host, action: str) -> str:
    """Return the menu for an action, in the front end that runs this cell."""
    return (_VSCODE if host.vscode else _COLAB)[action]
