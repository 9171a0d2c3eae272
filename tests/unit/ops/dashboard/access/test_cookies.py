"""Whoever has logged in stays logged in over a restart, until the cookie is old or the token is
another one; and a cookie can be made by nobody else, not even by somebody who knows the token."""

import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ops.dashboard.access.cookies import COOKIE_AGE_S, KEY_BYTES, LoginCookies, load_key

KEY = b"k" * KEY_BYTES


def cookies(token: bytes = b"token", key: bytes = KEY, now: float = 0.0) -> LoginCookies:
    return LoginCookies(token, key, port=1, wall=lambda: now)


def test_a_cookie_is_good_for_its_token_its_key_and_its_time() -> None:
    cookie = cookies().make()
    assert cookies().is_valid(cookie)
    assert cookies(now=COOKIE_AGE_S - 1).is_valid(cookie)
    assert not cookies(now=COOKIE_AGE_S).is_valid(cookie)
    assert not cookies(token=b"other").is_valid(cookie)
    assert not cookies(key=b"o" * KEY_BYTES).is_valid(cookie), "the token alone makes no cookie"
    assert not cookies().is_valid(cookie.replace("2592000", "9992000"))


@pytest.mark.parametrize("cookie", ["", ".", "1", "9" * 5_000, "\u0663.a", "9.\u00fc", "-1.a"])
def test_what_is_no_cookie_is_refused(cookie: str) -> None:
    assert not cookies().is_valid(cookie)


def test_the_key_outlives_a_restart_and_is_for_its_user_only(tmp_path: Path) -> None:
    file = tmp_path / "new" / "dashboard.key"
    key = load_key(file)
    assert len(key) == KEY_BYTES
    assert load_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert load_key(tmp_path / "other.key") != key


def test_without_a_place_for_the_key_there_is_one_for_this_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with capture_logs() as logs:
        one, other = (load_key(tmp_path / "file" / "dashboard.key") for _ in range(2))
        assert one != other
        (tmp_path / "short.key").write_bytes(b"")
        assert len(load_key(tmp_path / "short.key")) == KEY_BYTES, "an empty key signs nothing"
    assert {line["event"] for line in logs} == {"logins_end_with_this_process"}
