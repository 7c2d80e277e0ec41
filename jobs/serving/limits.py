"""How much a client may ask for: so often, and so much at once."""

import ipaddress
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from jobs.serving.problems import ProblemError


class Rate:
    """So many of something in a span of time, for each client; None: as many as it likes."""

    def __init__(self, rate: str | None):
        self.rate = parse(rate) if rate else None
        self.limiter = MovingWindowRateLimiter(MemoryStorage())

    def spend(self, client: str) -> None:
        """Count one. Raises a 429 beyond the rate."""
        if self.rate and not self.limiter.hit(self.rate, client):
            again = self.limiter.get_window_stats(self.rate, client).reset_time
            wait = max(1, round(again - time.time()))
            raise ProblemError(
                429, f"more than {self.rate}; try again in {wait} s", {"Retry-After": str(wait)}
            )


class AtOnce:
    """So many of something under way at once; of one client at most `share` of them."""

    def __init__(self, most: int, what: str, share: float):
        self.most, self.what = most, what
        self.each = max(1, int(most * share))
        self.clients: Counter[str] = Counter()

    @contextmanager
    def one(self, client: str) -> Iterator[None]:
        """Raises a 429 where there are too many."""
        if self.clients.total() >= self.most or self.clients[client] >= self.each:
            raise ProblemError(429, f"too many {self.what} at once; try again in 2 s", {"Retry-After": "2"})
        self.clients[client] += 1
        try:
            yield
        finally:
            self.clients[client] -= 1
            if not self.clients[client]:
                del self.clients[client]


def client_of(address: str) -> str:
    """Who has this address. Of IPv6 it is the network: a client has all addresses of a /64."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    return address if known.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
