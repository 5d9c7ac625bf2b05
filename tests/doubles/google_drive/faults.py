"""What goes wrong on purpose: each a value, planned for some requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional, Union

from .http import Request


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong with one request."""

    #: Answered instead of doing anything.
    status: int = 0
    reason: str = ""
    headers: Dict[str, str] = field(default_factory=dict)
    #: The connection is cut when so many bytes of a body came in, or went out.
    cut_after: Optional[int] = None
    #: It is done, but the connection is cut before the answer.
    lost_reply: bool = False
    #: Not more than so many bytes of a chunk are taken.
    accept: Optional[int] = None
    #: The upload session ends.
    expires_session: bool = False
    #: Seconds before anything else.
    delay: float = 0.0
    #: Each chunk of a body that goes out has one byte changed.
    corrupt: bool = False


def unavailable(status: int = 503) -> Fault:
    """A server error."""
    return Fault(status, "backendError")


def too_many(retry_after: Optional[str] = None) -> Fault:
    """429, perhaps with ``Retry-After``."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Fault(429, "rateLimitExceeded", headers)


def forbidden(reason: str) -> Fault:
    """403 for this reason: ``rateLimitExceeded``, ``userRateLimitExceeded``, ``storageQuota…``."""
    return Fault(403, reason)


def cut(after: int = 0) -> Fault:
    """The connection ends behind so many bytes of the body."""
    return Fault(cut_after=after)


def partial(accept: int) -> Fault:
    """Only the beginning of a chunk is taken."""
    return Fault(accept=accept)


def lost_reply() -> Fault:
    """What was asked for is done, and nobody learns it."""
    return Fault(lost_reply=True)


def session_expired(status: int = 404) -> Fault:
    """The upload session is gone."""
    return Fault(status, "notFound", expires_session=True)


def token_expired() -> Fault:
    """The access token is not taken."""
    return Fault(401, "authError")


def slow(seconds: float) -> Fault:
    """It takes longer."""
    return Fault(delay=seconds)


def corrupt() -> Fault:
    """What is downloaded differs from what is stored."""
    return Fault(corrupt=True)


#: For which requests: the name of an action, or a test.
When = Union[str, Callable[[Request], bool]]


@dataclass
class _Planned:
    fault: Fault
    when: When
    times: int
    skip: int


class Faults:
    """The plan. ``choose``, where there is one, is asked for each request without a planned one."""

    def __init__(self) -> None:
        self._planned: List[_Planned] = []
        self.choose: Optional[Callable[[Request], Optional[Fault]]] = None
        #: How many requests each plan has hit so far, in all.
        self.hits = 0

    def plan(self, fault: Fault, when: When, times: int = 1, skip: int = 0) -> None:
        """Let a fault happen to requests of an action, ``times`` times after ``skip`` ones."""
        self._planned.append(_Planned(fault, when, times, skip))

    def clear(self) -> None:
        self._planned.clear()
        self.choose = None

    @property
    def pending(self) -> int:
        """How many faults have not happened yet."""
        return sum(plan.times for plan in self._planned)

    def take(self, request: Request) -> Fault:
        """The fault of this request; one that does nothing for most."""
        for plan in self._planned:
            hit = plan.when(request) if callable(plan.when) else plan.when == request.action
            if not hit or not plan.times:
                continue
            if plan.skip:
                plan.skip -= 1
                continue
            plan.times -= 1
            self.hits += 1
            return plan.fault
        chosen = self.choose(request) if self.choose is not None else None
        self.hits += chosen is not None
        return chosen or Fault()
