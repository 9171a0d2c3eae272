"""Redis URLs in earshot's seven schemes. The reading is strict: a typo must not mean database 0.

The rules are our own: urlsplit knows one host only, and its checks differ between Pythons.
"""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
"""Those with `rediss` use TLS."""

SENTINEL: Final = ("redis+sentinel", "rediss+sentinel")
CLUSTER: Final = ("redis+cluster", "rediss+cluster")
PORTS: Final = dict.fromkeys(SENTINEL, 26_379)
PORT: Final = 6_379

OF_A_USER: Final[tuple[str, ...]] = ("username", "password")
OPTIONS: Final = frozenset({"db", "client_name", *OF_A_USER})
"""The options that may follow the `?`."""

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
HOST: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL)
NAME: Final = re.compile(r"[^\s:/?#@%\\\[\]]+")
ZONE: Final = re.compile(r"[A-Za-z0-9._~-]+")
HINT: Final = " (a password's / # ? @ : are written %2F %23 %3F %40 %3A)"


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis URL in its parts; `service` is Sentinel's name of the master."""

    scheme: str
    hosts: list[tuple[str, int]]
    credentials: dict[str, str]
    service: str
    database: int
    path: str = ""
    """Where the socket of unix:// lies."""
    client_name: str = ""

    @property
    def has_tls(self) -> bool:
        return self.scheme.startswith("rediss")

    def of_one_server(self) -> dict[str, Any]:
        """Return the options for a client of one server, by redis-py's names."""
        found: dict[str, Any] = {"db": self.database, **self.credentials}
        if self.client_name:
            found["client_name"] = self.client_name
        if self.scheme == "unix":
            return found | {"unix_socket_path": self.path}
        ((host, port),) = self.hosts
        return found | {"host": host, "port": port}


def parse(url: str) -> Address:
    """Return the parts of a Redis URL. Raises ValueError, whose text never holds the password."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise ValueError("it starts with one of " + ", ".join(f"{known}://" for known in SCHEMES))
    if CONTROL.search(rest):
        raise ValueError("it holds a line break, a tab or another control character")
    rest, _, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    if fragment:
        raise ValueError(f"nothing may stand behind a #{HINT}")
    options = _options(query)
    if options and scheme in (*SENTINEL, *CLUSTER):
        raise ValueError(
            "nothing may stand behind a ? here: credentials go before the @, a database last in"
            " the path"
        )
    text, _, hosts = authority.rpartition("@")
    user, _, password = text.partition(":")
    credentials = {name: options[name] for name in OF_A_USER if name in options}
    credentials |= {
        name: unquote(value)
        for name, value in zip(OF_A_USER, (user, password), strict=True)
        if value
    }
    database = options.get("db", "0")
    name = options.get("client_name", "")
    if scheme == "unix":
        if not path.strip("/") or hosts:
            raise ValueError("the path of the socket is missing: unix:///run/redis.sock")
        where = unquote(slash + path)
        return Address(scheme, [], credentials, "", _database(database), where, name)
    hint = HINT if "@" in url else ""
    pairs = [_host_and_port(host, PORTS.get(scheme, PORT), hint) for host in hosts.split(",")]
    parts = [part for part in path.split("/") if part]
    service, number = _service_and_database(scheme, pairs, parts)
    if "db" in options:
        number = _database(database)
    return Address(scheme, pairs, credentials, service, number, client_name=name)


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, strict_parsing=bool(query))
    except ValueError:  # whose text may hold a part of the password
        raise ValueError(f"it cannot be read{HINT}") from None
    if unknown := sorted({name for name, _ in pairs} - OPTIONS):
        raise ValueError(f"it has no option {unknown[0]!r}, only {', '.join(sorted(OPTIONS))}")
    return dict(reversed(pairs))  # of two, the first one counts


def _host_and_port(text: str, default_port: int, hint: str) -> tuple[str, int]:
    match = HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"an IPv6 address stands in [ ], and only :PORT behind it{hint}")
    port = match[2] or str(default_port)
    if match[1].startswith("["):
        host = _in_brackets(match[1][1:-1], hint)
    else:
        host = _named(match[1], ":" in port, hint)
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ValueError(f"a port is not a number from 1 to 65535{hint}")
    return host, int(port)


def _named(host: str, is_many_ports: bool, hint: str) -> str:
    if is_many_ports:
        raise ValueError(f"an IPv6 address stands in [ ], and only :PORT behind it{hint}")
    if not host:
        raise ValueError(f"a host is missing{hint}")
    # in the form in which it is looked up, where some other characters have become a / or an @
    if not NAME.fullmatch(unicodedata.normalize("NFKC", host)):
        raise ValueError(f"a host's name holds a character that it may not{hint}")
    return host


def _in_brackets(text: str, hint: str) -> str:
    """Check an IPv6 address, which may have a zone: [fe80::1%25eth0], or with a plain %."""
    address, percent, zone = text.partition("%")
    if percent and zone.startswith("25") and len(zone) > 2:
        zone = zone[2:]
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        raise ValueError(f"what stands in [ ] is no IPv6 address{hint}") from None
    if percent and not ZONE.fullmatch(zone):
        raise ValueError(f"what stands behind the % in [ ] is no zone, such as eth0{hint}")
    return f"{address}{percent}{zone}"


def _service_and_database(
    scheme: str, hosts: list[tuple[str, int]], path: list[str]
) -> tuple[str, int]:
    service = ""
    if scheme in SENTINEL:
        if not path:
            raise ValueError("the service is missing: redis+sentinel://h1,h2/SERVICE/DB")
        service, *path = path
    elif len(hosts) > 1 and scheme not in CLUSTER:
        raise ValueError("several hosts want redis+sentinel:// or redis+cluster://")
    if len(path) > 1:
        raise ValueError("what stands last is the number of a database, such as /0")
    database = _database(path[0] if path else "0")
    if scheme in CLUSTER and database != 0:
        raise ValueError("a cluster has the database 0 only")
    return service, database


def _database(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("what stands last is the number of a database, such as /0")
    return int(text)
