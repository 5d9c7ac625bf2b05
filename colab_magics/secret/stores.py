"""Secrets that ``%secret set`` keeps: in the system's keyring, else in a file of one's own."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from ..core.errors import NotebookError, NotOwn
from ..core.file_lock import alone
from ..core.files import open_regular, read_own, save
from ..core.folders import user_path
from ..core.host import Host
from ..core.ownership import is_own, others_write
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
    return user_path("config", "secrets.json")


def _read() -> Dict[str, str]:
    try:
        known = json.loads(read_own(_path()))
    except FileNotFoundError:
        return {}
    except NotOwn as error:
        raise Unanswered(f"{error.details}: {error.strerror}") from None
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


# ---------------------------------------------------------------------- of Colab and Kaggle
# The secrets that Colab and Kaggle keep for their users.
#
# Sources: ``google.colab.userdata`` of colabtools (``get``, ``SecretNotFoundError``,
# ``NotebookAccessError``, ``TimeoutException`` after ten seconds where no browser answers), and
# Kaggle's documentation of ``kaggle_secrets.UserSecretsClient``.

#: That Colab has not answered in this kernel: it is not asked again, which takes ten seconds.
_SILENT_HOSTS: List[str] = []


class Colab:
    """The key symbol at the left of Colab's page."""

    name = "colab"
    called = "Colab's secrets"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        if not host.colab:
            return "not here"
        if not host.may_ask:
            return "nobody is there whose browser could answer"
        return _SILENT_HOSTS[-1] if _SILENT_HOSTS else None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`; Colab itself waits for ten seconds at most."""
        try:
            from google.colab import userdata
        except ImportError:
            raise Unanswered("this Colab has no google.colab.userdata") from None
        try:
            found = userdata.get(name)
            return None if found is None else str(found)
        except Exception as error:
            kind = type(error).__name__
            if kind == "SecretNotFoundError":
                return None
            if kind == "NotebookAccessError":
                raise Unanswered(
                    f"{name} is there, but this notebook may not see it: switch it on at the key"
                ) from None
            if kind == "TimeoutException":
                _SILENT_HOSTS.append("they do not answer outside Colab's own page")
                raise Unanswered(_SILENT_HOSTS[-1]) from None
            raise Unanswered(f"{kind} of Colab") from None


class Kaggle:
    """Add-ons > Secrets of a Kaggle notebook."""

    name = "kaggle"
    called = "Kaggle's secrets"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None if "KAGGLE_KERNEL_RUN_TYPE" in os.environ else "not here"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        try:
            UserSecretsClient = import_module("kaggle_secrets").UserSecretsClient
        except ImportError:
            raise Unanswered("this Kaggle has no kaggle_secrets") from None
        try:
            found = UserSecretsClient().get_secret(name)
            return None if found is None else str(found)
        except Exception as error:
            if "No user secrets" in str(error) or "not found" in str(error).lower():
                return None
            raise Unanswered(f"{type(error).__name__} of Kaggle") from None


# ---------------------------------------------------------------------- of this machine
# Secrets of this process, of the project's folder, and of the person who is there.
class Environment:
    """What the kernel was started with, or has been set since."""

    name = "env"
    called = "the environment"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        return os.environ.get(name)


class Dotenv:
    """A file ``.env`` in the folder that the kernel started in, or the nearest above it.

    It counts only if this user owns it and nobody else may write it: else whoever can write one of
    these folders, such as the one for temporary files, would say what our secrets are.
    """

    name = "dotenv"
    called = ".env"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        bad = ""
        for path in _files(host):
            if _is_trusted(path.stat(), path.lstat()):
                return None
            bad = bad or f"{path} is another user's, or others may write it"
        return bad or "not here"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`; nothing in it is expanded."""
        from dotenv import dotenv_values

        try:
            for path in _files(host):
                with open_regular(path) as plain, TextIOWrapper(plain, encoding="utf-8") as stream:
                    if _is_trusted(os.fstat(stream.fileno()), path.lstat()):
                        self.called = ".env" if path.parent == host.start else str(path)
                        return dotenv_values(stream=stream, interpolate=False).get(name)
        except (OSError, UnicodeDecodeError, NotebookError):
            raise Unanswered("it cannot be read") from None
        return None


class Prompt:
    """The person who is there; what is typed is not shown, and kept for this kernel only."""

    name = "prompt"
    called = "you"

    def available(self, host: Host) -> Optional[str]:
        """See `Place`."""
        return None if host.person else "nobody is known to be there to be asked"

    def get(self, host: Host, name: str) -> Optional[str]:
        """See `Place`."""
        return ask(name)


def ask(name: str) -> Optional[str]:
    """Have a person type a secret; None where nothing was typed, or nobody can."""
    from getpass import getpass

    # In a terminal it takes the place of what was said to be going on.
    over = "\r\x1b[K" if sys.stdout.isatty() else ""
    try:
        return getpass(f"{over}{name} (not shown): ").strip() or None
    except EOFError:
        return None


def _files(host: Host) -> Iterator[Path]:
    for folder in (host.start, *host.start.parents):
        path = folder / ".env"
        if path.is_file():
            yield path
        if folder == Path.home() or (folder / ".git").exists():
            break  # what is above belongs to something else


def _is_trusted(file: os.stat_result, link: os.stat_result) -> bool:
    """Whether only this user can have written a file, and put it there if that is a link."""
    return is_own(file) and is_own(link) and not others_write(file)
