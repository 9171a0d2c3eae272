"""Redis URLs in earshot's seven schemes, read strictly: a typing error must not mean database 0."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

# The ones with two s speak TLS.
SCHEMES: Final = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
SENTINEL: Final = ("redis+sentinel", "rediss+sentinel")
CLUSTER: Final = ("redis+cluster", "rediss+cluster")
PORTS: Final = dict.fromkeys(SENTINEL, 26_379)
PORT: Final = 6_379

# redis-py hands whatever stands behind the ? to a constructor, which fails at the first command.
OPTIONS: Final = frozenset({"db", "client_name", "username", "password"})

HOST: Final = re.compile(r"(\[[^\]]+\]|[^:\[\]]+)(?::(.*))?")
HINT: Final = " (a password's / # ? @ : are written %2F %23 %3F %40 %3A)"


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis URL in its parts; `service` is Sentinel's name of the master."""

    scheme: str
    hosts: list[tuple[str, int]]
    credentials: dict[str, str]
    service: str
    database: int

    @property
    def has_tls(self) -> bool:
        return self.scheme.startswith("rediss")


def parse(url: str) -> Address:
    """The parts of a Redis URL. Raises ValueError with what is wrong, never with the password."""
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise ValueError("it starts with one of " + ", ".join(f"{known}://" for known in SCHEMES))
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, strict_parsing=bool(parts.query))
    except ValueError:  # whose text may hold a part of the password
        raise ValueError(f"it cannot be read{HINT}") from None
    if parts.fragment:
        raise ValueError(f"nothing may stand behind a #{HINT}")
    if options and scheme in (*SENTINEL, *CLUSTER):
        raise ValueError(
            "nothing may stand behind a ? here: credentials go before the @, a database last in"
            " the path"
        )
    if unknown := sorted({name for name, _ in options} - OPTIONS):
        raise ValueError(f"it has no option {unknown[0]!r}, only {', '.join(sorted(OPTIONS))}")
    text, _, hosts = parts.netloc.rpartition("@")
    user, _, password = text.partition(":")
    credentials = {
        name: unquote(value)
        for name, value in (("username", user), ("password", password))
        if value
    }
    path = [part for part in parts.path.split("/") if part]
    if scheme == "unix":
        if not path or hosts:
            raise ValueError("the path of the socket is missing: unix:///run/redis.sock")
        return Address(scheme, [], credentials, "", 0)
    hint = HINT if "@" in url else ""
    pairs = [_host_and_port(host, PORTS.get(scheme, PORT), hint) for host in hosts.split(",")]
    return Address(scheme, pairs, credentials, *_service_and_database(scheme, pairs, path))


def _host_and_port(text: str, default_port: int, hint: str) -> tuple[str, int]:
    match = HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"a host is missing{hint}")
    port = match[2] or str(default_port)
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ValueError(f"a port is not a number from 1 to 65535{hint}")
    return match[1].strip("[]"), int(port)


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
    database = path[0] if path else "0"
    if len(path) > 1 or not re.fullmatch(r"[0-9]{1,9}", database):
        raise ValueError("what stands last is the number of a database, such as /0")
    if scheme in CLUSTER and int(database) != 0:
        raise ValueError("a cluster has the database 0 only")
    return service, int(database)
