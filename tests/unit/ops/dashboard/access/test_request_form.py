"""What no server and no proxy could read in two ways is all that the dashboard reads at all, and no
part of it asks for the URL that Starlette makes of the Host header."""

import posixpath
import re
from typing import Any, Final
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.dashboard.access.request_form import explain_bad_form, is_this_machine, split_host
from tests.support.repository import ROOT

URL_OF_STARLETTE: Final = re.compile(
    r"(?<!settings)\b(?:request|socket|visitor|connection)\.(?:url|base_url|url_for)\b"
    r"|\burl_path_for\(|\bURL\("
)


def scope(path: str = "/", raw: bytes | None = None, **headers: str) -> dict[str, Any]:
    named = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"path": path, "raw_path": path.encode() if raw is None else raw, "headers": named}


def test_no_code_of_the_dashboard_asks_for_a_url_that_was_made_of_the_host() -> None:
    modules = list((ROOT / "ops" / "dashboard").rglob("*.py"))
    assert len(modules) > 10
    found = {path.name: URL_OF_STARLETTE.findall(path.read_text()) for path in modules}
    assert {name: uses for name, uses in found.items() if uses} == {}


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("localhost", "localhost"),
        ("LOCALHOST:80", "localhost"),
        ("my_service:8484", "my_service"),
        ("wall.example.", "wall.example."),
        ("192.0.2.1:65535", "192.0.2.1"),
        ("[2001:DB8::1]:1", "2001:db8::1"),
        ("192.0.2.1:65536", None),
        ("[192.0.2.1]", None),
        ("[fe80::1%25eth0]", None),
        ("a b", None),
        ("a\n", None),
        ("a/b", None),
        ("a?b", None),
        ("a#b", None),
        ("a@b", None),
        ("a,b", None),
        ("\u0663\u0663:1", None),
        ("a:\u0663", None),
        ("a." * 200, None),
    ],
)
def test_which_host_is_one(value: str, host: str | None) -> None:
    assert split_host(value) == host


@given(st.text(max_size=40))
def test_a_host_can_never_reach_into_the_path(value: str) -> None:
    host = split_host(value)
    assert host is None or not set(host) & set("/?#@\\ \t\r\n%")


@given(st.text(st.sampled_from("/.%\\ab2fFeE5cC0\n;"), max_size=14).map("/".__add__))
def test_a_path_that_is_let_in_is_the_same_for_everybody(raw: str) -> None:
    path = unquote(raw)
    if explain_bad_form(scope(path, raw.encode(), host="a")):
        return
    plain = posixpath.normpath(path)
    assert plain == (path.rstrip("/") or "/"), "a program that tidies it up sees another path"
    assert path.count("/") == raw.count("/"), "a program that decodes later sees another path"
    assert "\\" not in path


@pytest.mark.parametrize(
    "path",
    ["/", "/api/overview", "/api/sessions/a.b-c_d", "/static/", "/a/.b", "/a/..b", "/ü", "/a b"],
)
def test_plain_paths_are_let_in(path: str) -> None:
    assert explain_bad_form(scope(path, host="localhost")) == ""


@pytest.mark.parametrize(
    ("host", "is_it"),
    [
        ("localhost", True),
        ("127.0.0.2:1", True),
        ("[::1]:8484", True),
        ("localhost.", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.1", False),
        ("2130706433", False),
        ("0.0.0.0", False),
        ("[::]", False),
        ("", False),
        ("x/localhost", False),
    ],
)
def test_which_host_is_this_machine(host: str, is_it: bool) -> None:
    assert is_this_machine(host) is is_it
