"""Secrets that ``%secret set`` keeps: in the system's keyring, else in a file of one's own."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

from ..errors import SourceError
from ..host import Host
from ..locks import alone
from ..process import within
from .base import Unanswered

__all__ = ["File", "Keyring"]

#: Seconds for the keyring, which may ask a person to unlock it.
PATIENCE = 30.0
#: Under which all secrets stand in the keyring, and the entry with their names: it lists none.
_SERVICE, _NAMES = "colab-magics", "names of all secrets"


class Keyring:
    """macOS Keychain, Windows Credential Locker, or a Secret Service; needs ``keyring``."""

    name = "keyring"
    called = "the keyring"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        try:
            import keyring
            from keyring.backends.fail import Keyring as Failing
        except ImportError:
            return "not here"
        return "this system has none" if isinstance(keyring.get_keyring(), Failing) else None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        found: Optional[str] = _call("get_password", name)
        return found

    def set(self, name: str, value: str) -> None:
        """See `Kept`."""
        _call("set_password", name, value)
        self._list({*self.names(), name})

    def delete(self, name: str) -> bool:
        """See `Kept`."""
        if _call("get_password", name) is None:
            return False
        _call("delete_password", name)
        self._list({*self.names()} - {name})
        return True

    def names(self) -> List[str]:
        """See `Kept`: those that were set by us."""
        return sorted(json.loads(_call("get_password", _NAMES) or "[]"))

    def _list(self, names: Any) -> None:
        _call("set_password", _NAMES, json.dumps(sorted(names)))


class File:
    """A file that only this user can read."""

    name = "file"

    @property
    def called(self) -> str:
        """See `Place`."""
        return "your file of secrets"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        return _read().get(name)

    def set(self, name: str, value: str) -> None:
        """See `Kept`."""
        with alone(_path().with_suffix(".lock")):
            _write({**_read(), name: value})

    def delete(self, name: str) -> bool:
        """See `Kept`."""
        with alone(_path().with_suffix(".lock")):
            known = _read()
            if name not in known:
                return False
            _write({key: value for key, value in known.items() if key != name})
        return True

    def names(self) -> List[str]:
        """See `Kept`."""
        return sorted(_read())


def _call(function: str, *values: str) -> Any:
    import keyring

    try:
        return within(PATIENCE, lambda: getattr(keyring, function)(_SERVICE, *values))
    except TimeoutError:
        raise Unanswered("it does not answer; it may wait to be unlocked") from None
    except Exception as error:
        raise Unanswered(type(error).__name__) from None


def _path() -> Path:
    from platformdirs import user_config_dir

    return Path(user_config_dir("colab-magics", appauthor=False)) / "secrets.json"


def _read() -> Dict[str, str]:
    try:
        text = _path().read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unanswered(f"it cannot be read: {error.strerror}") from None
    try:
        known = json.loads(text)
    except ValueError:
        raise Unanswered("it cannot be read: it is no JSON") from None
    return {str(name): str(value) for name, value in dict(known).items()}


def _write(known: Dict[str, str]) -> None:
    """Put it in place whole, or not at all; never readable by others, not for a moment."""
    path = _path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        handle, fresh = tempfile.mkstemp(prefix=".secrets-", dir=path.parent)  # 0600
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(known, stream, indent=1)
        Path(fresh).replace(path)
    except OSError as error:
        raise SourceError(
            f"The file of secrets cannot be written: {error.strerror}.", "Check your home."
        ) from None
