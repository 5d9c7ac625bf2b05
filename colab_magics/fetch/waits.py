"""Connections that tell when they begin to wait for an answer, so that they can be cut then.

``requests`` gives a connection away only once the headers of its answer have come. This module
imports it, and is itself imported where it is needed.
"""

from typing import Any, Callable

from requests.adapters import HTTPAdapter


class Telling(HTTPAdapter):
    """As of ``requests``; ``waits`` is called with each socket that an answer is awaited from."""

    def __init__(self, waits: Callable[[Any], None]) -> None:
        self._waits = waits
        super().__init__()

    def init_poolmanager(self, *words: Any, **named: Any) -> None:
        """For what is asked directly."""
        super().init_poolmanager(*words, **named)
        self._tells(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **named: Any) -> Any:
        """For what is asked through a proxy; one is made for each."""
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **named)
        if not known:
            self._tells(manager)
        return manager

    def _tells(self, manager: Any) -> None:
        """Have the connections of all its pools tell."""
        plain = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {
            scheme: _telling(pool, self._waits) for scheme, pool in plain.items()
        }


def _telling(pool: Any, waits: Callable[[Any], None]) -> Any:
    plain = pool.ConnectionCls

    def getresponse(self: Any, *words: Any, **named: Any) -> Any:
        waits(self.sock)
        return plain.getresponse(self, *words, **named)

    tells = type(plain.__name__, (plain,), {"getresponse": getresponse})
    return type(pool.__name__, (pool,), {"ConnectionCls": tells})
