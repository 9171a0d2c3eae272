"""The way to the server: its address, proxies and certificates, and why it cannot be reached."""

import ipaddress
import os
import re
import ssl
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import openai

from common.errors import BadSetting, Transient
from common.settings import LlmSettings
from common.settings.host_files import is_file
from common.settings.masking import mask_password

ENDPOINT: Final = re.compile(r"/(chat/completions|completions|models)$")
VERSION: Final = re.compile(r"/v\d+$")

PROXY_VARIABLES: Final = ("http_proxy", "https_proxy", "all_proxy")

UNREACHABLE: Final = {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"}
"""Why an attempt to connect failed: class names of httpx, or of its fork, depending on the SDK's
version. The SDK hides the classes themselves."""

HTTP_ERRORS: Final = {"HTTPError", "StreamError", "InvalidURL"}
"""The base classes of all errors of httpx or its fork."""

QUOTED_BYTES: Final = re.compile(r":?\s*\b(?:bytearray\(|b['\"]).*", re.DOTALL)
"""What an error of h11 quotes of an answer that is no HTTP. It may be what was said."""

TLS_BYTES: Final = re.compile(r"\\x15\\x03|illegal status line", re.IGNORECASE)
"""What a server that speaks TLS sends to one who does not."""


def base_urls(url: str) -> list[str]:
    """Return the base URLs to try: the one that was set, then with or without its `/v1`.

    The path of an endpoint at its end is left out.
    """
    url = ENDPOINT.sub("", url.rstrip("/")).rstrip("/")
    other = VERSION.sub("", url)
    return [url, f"{url}/v1" if other == url else other]


def make_client(settings: LlmSettings, api_key: str) -> openai.AsyncOpenAI:
    """Make the SDK's client. Raises BadSetting for an address or a variable that cannot be used."""
    url = base_urls(settings.base_url)[0]
    try:
        host = urlsplit(url).hostname or ""
        _ = urlsplit(url).port
    except ValueError as error:
        raise _bad_address(settings, error) from None
    options: dict[str, Any] = {}
    if settings.ca_file:
        options["verify"] = _load_certificates(settings.ca_file)
    if is_loopback(host):
        # the proxy's own host is another one; without the environment nothing else would look
        # for SSL_CERT_FILE
        options["trust_env"] = False
        options.setdefault("verify", ssl.create_default_context())
    # our own deadlines limit the wait for answers; they differ by phase
    timeout = openai.Timeout(None, connect=settings.connect_timeout_s)
    try:
        return openai.AsyncOpenAI(
            api_key=api_key or "none",
            base_url=url,
            max_retries=0,
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(timeout=timeout, **options),
        )
    except Exception as error:
        raise _explain_variables() or _bad_address(settings, error) from None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def is_http_error(error: BaseException) -> bool:
    """Return whether an error comes from the HTTP client."""
    return any(kind.__name__ in HTTP_ERRORS for kind in type(error).__mro__)


def explain_connection(address: str, error: BaseException) -> Transient:
    """Return what it means that the connection to `address` could not be made, or broke."""
    cause = _cause(error)
    server = f"the LLM server at {address}"
    if isinstance(error, openai.APITimeoutError):
        return Transient(
            f"{server} accepts no connection: check that it runs and that EARSHOT_LLM__BASE_URL is"
            f" right{_proxy_note(address)}"
        )
    if (why := _explain_tls(address, cause)) is not None:
        return why
    if type(cause).__name__ in UNREACHABLE:
        return Transient(
            f"{server} cannot be reached ({_words(cause)}): start it, or set EARSHOT_LLM__BASE_URL"
            f"{_proxy_note(address)}"
        )
    if type(cause).__name__ == "TooManyRedirects":
        return Transient(f"{server} redirects in a circle: check EARSHOT_LLM__BASE_URL")
    return Transient(
        f"{server} closed the connection ({_words(cause)}): the request is sent again",
        opens_breaker=False,
        broke_off=True,
    )


def _cause(error: BaseException) -> BaseException:
    """Return the HTTP client's error inside of the SDK's."""
    return error.__cause__ or error if isinstance(error, openai.APIError) else error


def _explain_tls(address: str, cause: BaseException) -> Transient | None:
    """Return what an error of TLS means; None for any other."""
    server = f"the LLM server at {address}"
    chain = list(_chain(cause))
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            why = one.verify_message or str(one)
            cure = (
                "write the name of its certificate in EARSHOT_LLM__BASE_URL"
                if "ostname mismatch" in why or "IP address mismatch" in why
                else "set EARSHOT_LLM__CA_FILE to the file of the CA that signed it (PEM)"
            )
            return Transient(f"the certificate of {server} is not trusted ({why}): {cure}")
    words = " ".join(map(str, chain))
    if "CERTIFICATE_VERIFY_FAILED" in words:
        return Transient(
            f"the certificate of {server} is not trusted ({_words(cause)}): set"
            " EARSHOT_LLM__CA_FILE to the file of the CA that signed it (PEM)"
        )
    if "WRONG_VERSION_NUMBER" in words or "RECORD_LAYER" in words:
        return Transient(f"{server} speaks no TLS: write http:// in EARSHOT_LLM__BASE_URL")
    if TLS_BYTES.search(words) and address.startswith("http:"):
        return Transient(
            f"{server} does not speak plain HTTP ({_words(cause)}): write https:// in"
            " EARSHOT_LLM__BASE_URL if it wants TLS"
        )
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _words(error: BaseException) -> str:
    words = QUOTED_BYTES.sub("", str(error))
    return " ".join(words.split()) or type(error).__name__


def proxy_of(url: str) -> str:
    """Return the variable and the value of the proxy for a URL; empty if it needs none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return ""
    found = _variables()
    for name in (f"{parts.scheme}_proxy", "all_proxy"):
        for variable, value in found.items():
            if variable.lower() == name:
                return f"{variable}={mask_password(value)}"
    return ""


def _proxy_note(address: str) -> str:
    proxy = proxy_of(address)
    return (
        f". The way leads through the proxy of {proxy}; NO_PROXY makes exceptions" if proxy else ""
    )


def _variables() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name.lower() in PROXY_VARIABLES and value
    }


def _explain_variables() -> BadSetting | None:
    """Return which variable of the environment the HTTP client cannot use; None if it can all."""
    for name, value in _variables().items():
        try:
            openai.DefaultAsyncHttpxClient(
                proxy=value if "://" in value else f"http://{value}", trust_env=False
            )
        except Exception as error:
            return BadSetting(
                f"the proxy in the variable {name}={mask_password(value)} cannot be used"
                f" ({_words(error)}): correct it, or name the LLM server's host in NO_PROXY"
            )
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = os.environ.get(name)
        if path and not Path(path).exists():
            return BadSetting(f"the variable {name}={path} names no file with certificates")
    no_proxy = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
    if no_proxy and _variables():
        return BadSetting(f"the variable NO_PROXY={no_proxy} cannot be used: write names of hosts")
    return None


def _bad_address(settings: LlmSettings, error: Exception) -> BadSetting:
    address = mask_password(settings.base_url)
    return BadSetting(f"EARSHOT_LLM__BASE_URL {address!r} is not usable: {error}")


def _load_certificates(path: str) -> ssl.SSLContext:
    """Return a context that trusts a CA beside those of the system."""
    variable = "EARSHOT_LLM__CA_FILE"
    try:
        if not is_file(Path(path)):
            raise BadSetting(f"{variable}={path} names no file")
        context = ssl.create_default_context()
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise BadSetting(f"{variable}={path} holds no CA certificate in PEM ({error})") from None
    except OSError as error:
        raise BadSetting(f"{variable}={path} cannot be read: {error.strerror}") from None
    return context
