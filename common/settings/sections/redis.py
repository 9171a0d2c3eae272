"""The Redis server: address, user and TLS."""

from typing import Annotated

from pydantic import Field, SecretStr

from common.settings.sections.fields import HostPath, Section


class RedisSettings(Section):
    """The Redis server: address, user and TLS."""

    url: Annotated[str, Field(min_length=1)] = Field(
        "redis://127.0.0.1:6379/0",
        description="redis://, unix://, redis+sentinel://h1,h2/SERVICE/DB or"
        " redis+cluster://h1,h2; with TLS rediss://, rediss+sentinel:// and"
        " rediss+cluster://. The default is a server on this machine.",
    )
    username: str = Field(
        "",
        description="ACL user, if it is not part of the URL.",
    )
    password: SecretStr = Field(
        SecretStr(""),
        description="Password, if it is not part of the URL.",
    )
    ca_file: HostPath = Field(
        "",
        description="File with the CA certificate for TLS. Empty: the certificates of the system.",
    )
    cert_file: HostPath = Field(
        "",
        description="File with the client certificate, if the server demands one.",
    )
    key_file: HostPath = Field(
        "",
        description="File with the key of the client certificate.",
    )
