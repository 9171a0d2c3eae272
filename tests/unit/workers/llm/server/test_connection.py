"""The way to the server: its base URLs, this machine itself, and the proxy that is used."""

import pytest

from common.errors import BadSetting
from common.settings import LlmSettings
from workers.llm.server.connection import base_urls, is_loopback, make_client, proxy_of


@pytest.mark.parametrize(
    ("url", "urls"),
    [
        ("http://h:1/v1", ["http://h:1/v1", "http://h:1"]),
        ("http://h:1/v1/", ["http://h:1/v1", "http://h:1"]),
        ("http://h:1", ["http://h:1", "http://h:1/v1"]),
        ("http://h:1/", ["http://h:1", "http://h:1/v1"]),
        ("https://h/openai/v1/chat/completions", ["https://h/openai/v1", "https://h/openai"]),
        ("https://h/v1beta/openai/", ["https://h/v1beta/openai", "https://h/v1beta/openai/v1"]),
    ],
)
def test_base_urls(url: str, urls: list[str]) -> None:
    assert base_urls(url) == urls


def test_this_machine_itself() -> None:
    names = ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0"]
    assert all(map(is_loopback, [*names, "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["localhost.example", "10.0.0.1", "host", "", "128.0.0.1"]))


def test_which_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:secret@proxy:3128")
    assert proxy_of("https://llm.example/v1") == "HTTPS_PROXY=http://ada:********@proxy:3128"
    assert proxy_of("http://llm.example/v1") == ""
    assert proxy_of("https://127.0.0.1:8000/v1") == ""
    monkeypatch.setenv("NO_PROXY", "llm.example")
    assert proxy_of("https://llm.example/v1") == ""


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTPS_PROXY", "foo://proxy:3128"),
        ("https_proxy", "http://proxy:port"),
        ("ALL_PROXY", "http://[::1"),
        ("HTTP_PROXY", "carrier pigeon://x"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSetting, match=variable):
        make_client(LlmSettings(base_url="https://llm.example/v1"), "")


async def test_a_broken_proxy_harms_no_server_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "foo://proxy:3128")
    await make_client(LlmSettings(base_url="http://127.0.0.1:8000/v1"), "").close()


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_without_certificates(
    content: bytes | None, tmp_path: pytest.TempPathFactory
) -> None:
    path = str(tmp_path) + "/ca.pem"
    if content is not None:
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(content)
    with pytest.raises(BadSetting, match=f"EARSHOT_LLM__CA_FILE={path}"):
        make_client(LlmSettings(base_url="https://h/v1", ca_file=path), "")
