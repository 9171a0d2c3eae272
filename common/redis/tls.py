"""TLS to Redis: the options of a client, and explanations of certificate errors."""

import re
import ssl
from pathlib import Path
from typing import Any, Final

from common.errors import BadSetting
from common.redis.address import Address
from common.settings import RedisSettings
from common.settings.host_files import is_file
from common.settings.loading import variable_of
from common.settings.masking import mask_password

UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
"""OpenSSL's word when we do not trust the server's certificate."""

ASKED: Final = "CERTIFICATE_REQUIRED"
"""OpenSSL's word when the server wants a certificate from us."""


def client_options(settings: RedisSettings, address: Address) -> dict[str, Any]:
    """Return what redis-py is given; nothing for an address without TLS.

    Raises BadSetting for files that cannot be used, and for certificates without TLS: somebody
    who names one believes that the connection is safe.
    """
    for name in ("ca_file", "cert_file", "key_file"):
        path, variable = getattr(settings, name), variable_of(f"redis.{name}")
        if path and not address.has_tls:
            raise BadSetting(
                f"{variable} is set, and {mask_password(settings.url)} is without TLS: write"
                " rediss://, or rediss+sentinel:// or rediss+cluster://"
            )
        try:
            if path and not is_file(Path(path)):
                raise BadSetting(f"{variable}={path} names no file")
        except OSError as error:
            raise BadSetting(f"{variable}={path} cannot be read: {error.strerror}") from None
    if not address.has_tls:
        return {}
    _check_files(settings)
    found: dict[str, Any] = {"ssl": True, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    if settings.ca_file:
        found["ssl_ca_certs"] = settings.ca_file
    if settings.cert_file:
        found |= {"ssl_certfile": settings.cert_file, "ssl_keyfile": settings.key_file or None}
    return found


def _check_files(settings: RedisSettings) -> None:
    context = ssl.create_default_context()
    try:
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
    except (ssl.SSLError, OSError) as error:
        raise BadSetting(
            f"EARSHOT_REDIS__CA_FILE={settings.ca_file} holds no CA certificate in PEM ({error})"
        ) from None
    try:
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file or None)
    except (ssl.SSLError, OSError) as error:
        raise BadSetting(
            f"EARSHOT_REDIS__CERT_FILE={settings.cert_file} and EARSHOT_REDIS__KEY_FILE hold no"
            f" client certificate with its key in PEM ({error})"
        ) from None


def is_refused(error: BaseException) -> bool:
    """Return whether one side rejects the other's certificate, which only a person can mend."""
    return UNTRUSTED in str(error) or ASKED in str(error)


def explain_refusal(error: BaseException, url: str) -> str:
    """Explain an error that `is_refused` to a person; `url` is without its password."""
    if ASKED in str(error):
        return (
            f"Redis at {url} wants a client certificate: set EARSHOT_REDIS__CERT_FILE and"
            " EARSHOT_REDIS__KEY_FILE"
        )
    why = re.sub(r".*verify failed: | \(_ssl\.c:\d+\).*", "", str(error))
    return (
        f"the certificate of Redis at {url} is not trusted ({why}): check EARSHOT_REDIS__CA_FILE,"
        " and that the certificate names this host"
    )
