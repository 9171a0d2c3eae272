"""The form of a request: which Host and which target are accepted at all.

Everything that decides about a request uses `scope["path"]`, never a URL that Starlette made of the
Host header: `Host: x/static/` would become a part of its path. A Host that is no host, and a path
that another program could read in another way, are refused, so nothing is left to interpret.
"""

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

HOST_MAX: Final = 253
"""Bytes of a host name (RFC 1035, section 2.3.4)."""

NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]+(?:\.(?!-)[A-Za-z0-9_-]+)*\.?")
"""A host name. Names of containers have underscores too."""

HOST_AND_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::([0-9]{1,5}))?")
PORT_MAX: Final = 65_535

ENCODED_SEPARATORS: Final = (b"%2f", b"%5c")
"""An encoded / or \\: a proxy and this server might see different paths."""

PATH: Final = re.compile(r"/|(?:/(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\x7f]+)+/?")
"""A path from the root without empty segments, without `.` and `..`, on one line."""


def split_host(value: str) -> str | None:
    """Return the name or address in a Host header, in lower case and without its port.

    None if it is no host: RFC 9110, section 7.2. An IPv6 address comes without its brackets.
    """
    found = HOST_AND_PORT.fullmatch(value)
    if found is None or int(found[2] or 0) > PORT_MAX:
        return None
    host = found[1]
    if host.startswith("["):
        return _read_ipv6(host[1:-1])
    return host.lower() if len(host) <= HOST_MAX and NAME.fullmatch(host) else None


def _read_ipv6(text: str) -> str | None:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return None


def explain_bad_form(scope: Scope) -> str:
    """Explain why a request is refused for its form; empty if it is not.

    A request without a Host (HTTP/1.0) passes: its host is the empty text.
    """
    hosts = _values(scope, b"host")
    if len(hosts) > 1 or any(split_host(host) is None for host in hosts):
        return "the Host header cannot be read: open the dashboard by its name or its address"
    origins = _values(scope, b"origin")
    if len(origins) > 1 or not all(map(_can_be_split, origins)):
        return "the Origin header cannot be read: browsers send one origin, programs none"
    raw: bytes = scope.get("raw_path") or b""
    if not PATH.fullmatch(scope["path"]) or any(sign in raw.lower() for sign in ENCODED_SEPARATORS):
        return "the request's target is no plain path: it begins with one /, without . and .."
    return ""


def host_of(scope: Scope) -> str:
    """Return the Host header as it came; empty if there is none."""
    return next(iter(_values(scope, b"host")), "")


def is_this_machine(host: str) -> bool:
    """Tell whether a Host header names this machine for certain: localhost, a loopback address."""
    name = split_host(host)
    if name is None:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _can_be_split(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
