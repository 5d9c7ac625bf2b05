"""Secrets that ``%secret set`` keeps: in the system's keyring, else in a file of one's own."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from ..core.file_lock import alone
from ..core.files import save
from ..core.host import Host
from ..core.process import within
from .lookup import Unanswered


#: Seconds for the keyring, which may ask a person to unlock it, and for the file.
PATIENCE = 30.0
#: Under which all secrets stand in the keyring, and the entry with their names: it lists none.
_SERVICE, _NAMES = "colab-magics", "names of all secrets"
#: Questions to the keyring that it has not answered yet: until then it is asked no other.
_OPEN: List[str] = []
_SILENT = "it does not answer; it may wait to be unlocked"


class Keyring:
    """macOS Keychain, Windows Credential Locker, or a Secret Service; needs ``keyring``."""

    name = "keyring"
    called = "the keyring"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        try:
            import keyring
            from keyring.backends import fail, null
        except ImportError:
            return "not here"
        try:
            chosen = keyring.get_keyring()
        except Exception as error:
            return f"{type(error).__name__}: the one that is set up here cannot be loaded"
        return "this system has none" if isinstance(chosen, (fail.Keyring, null.Keyring)) else None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        found: Optional[str] = _call("get_password", name)
        return found

    def set(self, name: str, value: str) -> None:
        """See `Kept`: some say that they have it, and do not."""
        _call("set_password", name, value)
        if _call("get_password", name) != value:
            raise Unanswered("it does not give back what it was given")
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
        with _changing() as known:
            known[name] = value

    def delete(self, name: str) -> bool:
        """See `Kept`."""
        with _changing() as known:
            return known.pop(name, None) is not None

    def names(self) -> List[str]:
        """See `Kept`."""
        return sorted(_read())


def _call(function: str, *values: str) -> Any:
    import keyring

    if _OPEN:
        raise Unanswered(_SILENT)

    def ask() -> Any:
        _OPEN.append(function)
        try:
            return getattr(keyring, function)(_SERVICE, *values)
        finally:
            _OPEN.remove(function)

    try:
        return within(PATIENCE, ask)
    except TimeoutError:
        raise Unanswered(_SILENT) from None
    except Exception as error:
        raise Unanswered(type(error).__name__) from None


def _path() -> Path:
    from platformdirs import user_config_dir

    return Path(user_config_dir("colab-magics", appauthor=False)) / "secrets.json"


def _read() -> Dict[str, str]:
    try:
        known = json.loads(_path().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unanswered(f"{_path()} cannot be read: {error.strerror}") from None
    except ValueError:
        known = None
    if not isinstance(known, dict):
        raise Unanswered(f"{_path()} cannot be read: it is no JSON of names and values")
    return {str(name): str(value) for name, value in known.items()}


@contextmanager
def _changing() -> Iterator[Dict[str, str]]:
    """What is kept, to be changed, while nobody else changes it; then it is put in place."""
    path = _path()

    def waiting(seconds: float) -> None:
        if seconds > PATIENCE:
            raise Unanswered(f"{path} is being written by another program")

    try:
        with alone(path.with_suffix(".lock"), waiting):
            before = _read()
            known = dict(before)
            yield known
            if known != before:
                save(path, json.dumps(known, indent=1))
    except OSError as error:
        raise Unanswered(f"{path} cannot be written: {error.strerror}") from None
