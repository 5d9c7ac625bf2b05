"""Where ``%secret set`` stores secrets: in the system's keyring, else in a file of the user's."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Type, Union

from ..core.errors import NotOwn, SourceError
from ..core.file_lock import alone
from ..core.files import read_own, save
from ..core.folders import user_path
from ..core.host import Host
from ..core.process import within
from .lookup import ELSEWHERE, Place, Unanswered

#: Seconds to wait for the keyring, which may ask a person to unlock it, and for the file's lock.
PATIENCE = 30.0
#: The service of all secrets in the keyring, and the entry with their names: a keyring lists none.
_SERVICE, _NAMES = "colab-magics", "names of all secrets"
#: Requests that the keyring has not answered yet: until then it is asked nothing else.
_OPEN: List[str] = []
_SILENT = "it does not answer; it may wait to be unlocked"


class Keyring(Place):
    """macOS Keychain, Windows Credential Locker, or a Secret Service; needs ``keyring``."""

    name = "keyring"
    label = "the keyring"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        try:
            import keyring
            from keyring.backends import fail, null
        except ImportError:
            return ELSEWHERE
        try:
            backend = keyring.get_keyring()
        except Exception as error:
            return f"{type(error).__name__}: the one that is set up here cannot be loaded"
        return "this system has none" if isinstance(backend, (fail.Keyring, null.Keyring)) else None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        secret: Optional[str] = _call("get_password", name)
        return secret

    def set(self, name: str, value: str) -> None:
        """Store a secret and read it back: some keyrings only pretend to store it."""
        _call("set_password", name, value)
        if _call("get_password", name) != value:
            raise Unanswered("it does not return what was stored")
        self._save_names({*self.names(), name})

    def delete(self, name: str) -> bool:
        """Delete a secret; return whether there was one."""
        if _call("get_password", name) is None:
            return False
        _call("delete_password", name)
        self._save_names({*self.names()} - {name})
        return True

    def names(self, host: Optional[Host] = None) -> List[str]:
        """Return the names of those that we stored."""
        return sorted(json.loads(_call("get_password", _NAMES) or "[]"))

    def _save_names(self, names: Any) -> None:
        _call("set_password", _NAMES, json.dumps(sorted(names)))


def _call(function: str, *values: str) -> Any:
    import keyring

    if _OPEN:
        raise Unanswered(_SILENT)

    def call() -> Any:
        _OPEN.append(function)
        try:
            return getattr(keyring, function)(_SERVICE, *values)
        finally:
            _OPEN.remove(function)

    try:
        return within(PATIENCE, call)
    except TimeoutError:
        raise Unanswered(_SILENT) from None
    except Exception as error:
        raise Unanswered(type(error).__name__) from None


class File(Place):
    """A file that only this user can read."""

    name = "file"
    label = "your file of secrets"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        return _read().get(name)

    def set(self, name: str, value: str) -> None:
        """Store a secret, in place of an earlier one."""
        with _editing() as secrets:
            secrets[name] = value

    def delete(self, name: str) -> bool:
        """Delete a secret; return whether there was one."""
        with _editing() as secrets:
            return secrets.pop(name, None) is not None

    def names(self, host: Optional[Host] = None) -> List[str]:
        """Return the names of those that we stored."""
        return sorted(_read())


def _path() -> Path:
    return user_path("config", "secrets.json")


def _read() -> Dict[str, str]:
    try:
        secrets = json.loads(read_own(_path()))
    except FileNotFoundError:
        return {}
    except NotOwn as error:
        raise Unanswered(f"{error.details}: {error.strerror}") from None
    except OSError as error:
        raise Unanswered(f"{_path()} cannot be read: {error.strerror}") from None
    except ValueError:
        secrets = None
    if not isinstance(secrets, dict):
        raise Unanswered(f"{_path()} cannot be read: it is no JSON of names and values")
    return {str(name): str(value) for name, value in secrets.items()}


@contextmanager
def _editing() -> Iterator[Dict[str, str]]:
    """Lock the file, give its secrets to be edited, and save them."""
    path = _path()

    def on_wait(seconds: float) -> None:
        if seconds > PATIENCE:
            raise Unanswered(f"{path} is being written by another program")

    try:
        with alone(path.with_suffix(".lock"), on_wait):
            before = _read()
            secrets = dict(before)
            yield secrets
            if secrets != before:
                save(path, json.dumps(secrets, indent=1))
    except OSError as error:
        raise Unanswered(f"{path} cannot be written: {error.strerror}") from None


Store = Union[Keyring, File]
#: The best first.
STORES: Dict[str, Type[Store]] = {"keyring": Keyring, "file": File}


def choose_store(name: str = "") -> Store:
    """Return the store of that name, else the best one that can be used here."""
    for key in [name] if name else STORES:
        store: Store = STORES[key]()
        reason = store.available(Host())
        if reason is None:
            return store
    hint = "Leave --to out."
    raise SourceError(f"{store.label} cannot be used: {reason}.", hint, code="no-store")
