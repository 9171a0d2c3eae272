"""The options of every client of Redis: address, credentials, TLS, timeouts.

The asyncio client does not retry. Every loop of earshot retries by itself, with its own backoff,
because only the loop knows which command may run twice. A blocking read is shorter than the
socket timeout.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from common.errors import BadSetting
from common.redis import tls
from common.redis.address import Address, parse
from common.settings import RedisSettings
from common.settings.masking import mask_password

SOCKET_TIMEOUT_S: Final = 5.0
SENTINEL_TIMEOUT_S: Final = 1.0
PROTOCOL: Final = 2
"""RESP 2, which every server speaks, so that answers have one shape."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Keyword arguments of redis-py's clients, which all take the same ones."""

    address: Address
    basic: dict[str, Any]
    secured: dict[str, Any]

    @property
    def of_one_server(self) -> dict[str, Any]:
        """The options for one server. `from_url` is not used: it differs between Pythons."""
        return self.basic | self.address.of_one_server() | self.secured

    @property
    def by_node(self) -> dict[str, Any]:
        """The options beside the hosts of a Sentinel's master or of a cluster."""
        return self.basic | self.address.credentials | self.secured

    @property
    def of_sentinels(self) -> dict[str, Any]:
        """The options for the connections to the Sentinels."""
        timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), SENTINEL_TIMEOUT_S)
        return timeouts | {"protocol": PROTOCOL} | self.secured


@contextmanager
def readable_address(settings: RedisSettings) -> Iterator[ClientOptions]:
    """Give the options of a client. Raises BadSetting if its address cannot be used."""
    try:
        address = parse(settings.url)
        basic = {
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            "protocol": PROTOCOL,
            "health_check_interval": 0,
            **_credentials(settings),
        }
        yield ClientOptions(address, basic, tls.client_options(settings, address))
    except ValueError as error:
        raise BadSetting(
            f"the Redis URL {mask_password(settings.url)!r} is not usable: {error}"
        ) from None


def _credentials(settings: RedisSettings) -> dict[str, str]:
    given = {"username": settings.username, "password": settings.password.get_secret_value()}
    return {name: value for name, value in given.items() if value}
