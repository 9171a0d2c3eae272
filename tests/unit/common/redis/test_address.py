"""A Redis URL in any of seven schemes says where Redis is, or is refused without its password."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.redis.address import Address, parse


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://h", Address("redis", [("h", 6379)], {}, "", 0)),
        ("redis://h/", Address("redis", [("h", 6379)], {}, "", 0)),
        ("redis://h:1/3", Address("redis", [("h", 1)], {}, "", 3)),
        ("redis://[::1]", Address("redis", [("::1", 6379)], {}, "", 0)),
        ("redis://[fe80::1]:7/2", Address("redis", [("fe80::1", 7)], {}, "", 2)),
        ("redis://:p@h", Address("redis", [("h", 6379)], {"password": "p"}, "", 0)),
        (
            "rediss://u:p%2F%40@h:6380/1",
            Address("rediss", [("h", 6380)], {"username": "u", "password": "p/@"}, "", 1),
        ),
        ("redis://[fe80::1%25eth0]:7", Address("redis", [("fe80::1%eth0", 7)], {}, "", 0)),
        ("redis://[fe80::1%eth0.7]", Address("redis", [("fe80::1%eth0.7", 6379)], {}, "", 0)),
        ("redis://[::ffff:127.0.0.1]", Address("redis", [("::ffff:127.0.0.1", 6379)], {}, "", 0)),
        ("redis://my_redis-1.bücher:", Address("redis", [("my_redis-1.bücher", 6379)], {}, "", 0)),
        ("redis://h/3?db=4&db=5", Address("redis", [("h", 6379)], {}, "", 4)),
        (
            "redis://u@h?client_name=me%2520&password=a%26b",
            Address(
                "redis",
                [("h", 6379)],
                {"username": "u", "password": "a&b"},
                "",
                0,
                client_name="me%20",
            ),
        ),
        (
            "redis://:[x],y&ö%5D@h",
            Address("redis", [("h", 6379)], {"password": "[x],y&ö]"}, "", 0),
        ),
        ("unix:///run/redis.sock", Address("unix", [], {}, "", 0, "/run/redis.sock")),
        (
            "unix://u:p@/run/my%20redis.sock?db=2",
            Address("unix", [], {"username": "u", "password": "p"}, "", 2, "/run/my redis.sock"),
        ),
        (
            "redis+sentinel://h1,h2:5/mymaster/2",
            Address("redis+sentinel", [("h1", 26379), ("h2", 5)], {}, "mymaster", 2),
        ),
        (
            "redis+sentinel://u:p@h1/mymaster",
            Address(
                "redis+sentinel",
                [("h1", 26379)],
                {"username": "u", "password": "p"},
                "mymaster",
                0,
            ),
        ),
        (
            "redis+cluster://:p@h1:1,[::1]:2,h3",
            Address(
                "redis+cluster", [("h1", 1), ("::1", 2), ("h3", 6379)], {"password": "p"}, "", 0
            ),
        ),
        (
            "redis+sentinel://[fe80::1%25eth0],[::2]:5,h/m",
            Address(
                "redis+sentinel",
                [("fe80::1%eth0", 26379), ("::2", 5), ("h", 26379)],
                {},
                "m",
                0,
            ),
        ),
    ],
)
def test_each_scheme_is_read(url: str, address: Address) -> None:
    assert parse(url) == address


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "starts with one of redis://"),
        ("h:6379", "starts with one of redis://"),
        ("http://h", "starts with one of redis://"),
        ("REDIS://h", "starts with one of redis://"),
        ("redis:/h", "starts with one of redis://"),
        ("redis://", "a host is missing"),
        ("redis:///0", "a host is missing"),
        ("redis://h:0", "a port is not a number"),
        ("redis://h:65536", "a port is not a number"),
        ("redis://h:six", "a port is not a number"),
        ("redis://h:٣", "a port is not a number"),
        ("redis://::1", r"an IPv6 address stands in \[ \]"),
        ("redis://[::1", r"an IPv6 address stands in \[ \]"),
        ("redis://::1]", r"an IPv6 address stands in \[ \]"),
        ("redis://x[::1]", r"an IPv6 address stands in \[ \]"),
        ("redis://[::1]x", r"an IPv6 address stands in \[ \]"),
        ("redis://[::1][::2]", r"an IPv6 address stands in \[ \]"),
        ("redis://[]", "is no IPv6 address"),
        ("redis://[h]:1", "is no IPv6 address"),
        ("redis://[127.0.0.1]", "is no IPv6 address"),
        ("redis://[v1.x]", "is no IPv6 address"),
        ("redis://[:::1]", "is no IPv6 address"),
        ("redis://[::1%]", "is no zone"),
        ("redis://[::1%a b]", "is no zone"),
        ("redis://[::1%%]", "is no zone"),
        ("redis://h::1", r"an IPv6 address stands in \[ \]"),
        ("redis://h:1:2", r"an IPv6 address stands in \[ \]"),
        ("redis://h o", "a character that it may not"),
        ("redis://h%2fo", "a character that it may not"),
        ("redis://h\\o", "a character that it may not"),
        ("redis://h\u2100o", "a character that it may not"),
        ("redis://h\nost", "a line break"),
        ("redis://h/0\n", "a line break"),
        ("redis://h\t", "a line break"),
        ("redis://h?db=two", "number of a database"),
        ("unix:///s?db=-1", "number of a database"),
        ("redis://h/zero", "number of a database"),
        ("redis://h/0/1", "number of a database"),
        ("redis://h/-1", "number of a database"),
        ("redis://h1,h2", r"several hosts want redis\+sentinel:// or redis\+cluster://"),
        ("redis://h?socket_timeout=1", "no option 'socket_timeout'"),
        ("redis://h?x", "cannot be read"),
        ("unix://", "path of the socket is missing"),
        ("unix://run/redis.sock", "path of the socket is missing"),
        ("redis+sentinel://h1,h2", "the service is missing"),
        ("redis+sentinel:///mymaster", "a host is missing"),
        ("redis+sentinel://h/mymaster/x", "number of a database"),
        ("redis+cluster://h1,,h2", "a host is missing"),
        ("redis+cluster://h1,h2,", "a host is missing"),
        ("redis+cluster://,h1", "a host is missing"),
        ("redis+cluster://:6379", "a host is missing"),
        ("redis+sentinel://u:p@/mymaster", "a host is missing"),
        ("unix:///", "path of the socket is missing"),
        ("redis+cluster://h/1", "database 0 only"),
        ("redis+sentinel://h/mymaster?db=2", "nothing may stand behind a ?"),
        ("rediss+cluster://h?password=secret", "nothing may stand behind a ?"),
    ],
)
def test_a_typing_error_is_refused_with_what_is_wrong(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(url)


@pytest.mark.parametrize("password", ["pa/ss", "pa#ss", "pa?ss", "pa:ss@x:y"])
def test_a_password_that_must_be_written_otherwise_gets_the_hint_and_is_not_repeated(
    password: str,
) -> None:
    url = f"redis://:{password}@h:x/0"
    with pytest.raises(ValueError, match="%2F %23 %3F %40") as refused:
        parse(url)
    assert "pa" not in str(refused.value).replace("path", "").replace("password", "")


@given(st.text(max_size=60))
def test_whatever_is_typed_only_value_error_is_raised(text: str) -> None:
    for url in (text, f"redis://{text}", f"redis+sentinel://{text}", f"redis://:{text}@h"):
        try:
            address = parse(url)
        except ValueError:
            continue
        assert all(host and 0 < port < 65_536 for host, port in address.hosts)


@example("<000@0#>")
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6).map(lambda text: f"<{text}>"))
def test_no_refusal_repeats_the_password(password: str) -> None:
    for url in (f"redis://:{password}@h:port", f"redis+cluster://u:{password}@h/9"):
        with pytest.raises(ValueError, match=r".") as refused:
            parse(url)
        assert password not in str(refused.value)
