"""Whatever is wrong with a setting, the sentence that says so holds no password and no key."""

from pathlib import Path

import pytest

from common.errors import BadSetting, RedisUnusable
from common.redis.client import connect
from common.settings import RedisSettings
from common.settings.loading import load_settings
from common.settings.masking import MASK, mask_password

SECRET = "p4ss-w0rd"
URLS = (
    f":{SECRET}@host",
    f"user:{SECRET}@host:6379/0",
    f"redis:/user:{SECRET}@host",
    f"redis:user:{SECRET}@host",
    f"redis//user:{SECRET}@host",
    f"redis://user:{SECRET}@host:port/x",
    f"redis://user:{SECRET}@[host/0",
    f"rediss://user:{SECRET}/with?all#signs@host",
    f"ftp://user:{SECRET}@host?password={SECRET}",
    f"host?password={SECRET}",
    f"redis://user:{SECRET}@ host",
)


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("name", ["REDIS__URL", "LLM__BASE_URL", "JOBS__REDIS_URL"])
def test_a_wrong_url_is_told_without_its_password(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"EARSHOT_{name}", url)
    why = ""
    try:
        load_settings()
    except BadSetting as error:
        why = str(error)
    assert SECRET not in why
    assert SECRET not in mask_password(url)


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_is_not_redis_s_is_told_without_its_password(url: str) -> None:
    why = ""
    try:
        connect(RedisSettings(url=url))
    except (BadSetting, RedisUnusable) as error:
        why = str(error)
    assert SECRET not in why


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("EARSHOT_REDIS", SECRET),
        ("EARSHOT_REDIS", f'{{"password": ["{SECRET}"]}}'),
        ("EARSHOT_REDIS", f'{{"pasword": "{SECRET}"}}'),
        ("EARSHOT_REDIS", f'["{SECRET}"]'),
        ("EARSHOT_REDIS__PASSWORD__X", SECRET),
        ("EARSHOT_REDIS__PASSWRD", SECRET),
        ("EARSHOT_REDIS_PASSWORD", SECRET),
        ("EARSHOT_DASHBOARD__TOKENS", SECRET),
        ("EARSHOT_LLM__API_KEYS", SECRET),
    ],
)
def test_a_wrong_name_or_form_is_told_without_the_value(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSetting) as error:
        load_settings()
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        f'[redis]\npassword = ["{SECRET}"]',
        f'[redis]\npassword = {{a = "{SECRET}"}}',
        f"[redis]\npassword = {SECRET}",
        f'[redis]\npassword = "{SECRET}',
        f'[redis]\npassword = "{SECRET}"\npassword = "{SECRET}"',
        f'[llm]\napi_key = 1\n[dashboard]\ntoken = ["{SECRET}"]',
        f'[redis]\nurl = ["redis://u:{SECRET}@h"]',
        f'redis = "redis://u:{SECRET}@h"',
    ],
)
def test_a_wrong_file_is_told_without_it(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("earshot.toml").write_text(text, encoding="utf-8")
    with pytest.raises(BadSetting) as error:
        load_settings()
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("text", ["a plain text: with @ in it", "me@host", "a:b", "", "C:\\x"])
def test_what_is_no_url_stays(text: str) -> None:
    assert mask_password(text) == text
    assert MASK not in text
