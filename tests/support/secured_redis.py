"""A Redis as ops/deploy/redis secures it: TLS only, a user for each role. Needs Redis 7.0."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import redis
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.settings import RedisSettings
from ops.local.machine import find_free_port
from tests.support.redis_server import EXECUTABLES, RedisServer
from tests.support.repository import ROOT

ROLES: Final = ("producer", "stt", "llm", "jobs", "viewer", "admin")
# Who runs which command.
USERS: Final = {
    "listen": "producer",
    "say": "producer",
    "stt": "stt",
    "llm": "llm",
    "jobs": "jobs",
    "tail": "viewer",
    "status": "viewer",
    "dead": "admin",
}
TESTS: Final = "tests on >tests"
MAKE_SECRETS: Final = ROOT / "ops" / "deploy" / "redis" / "make-secrets.sh"


def make_secrets(folder: Path, *arguments: str) -> Path:
    """What `make-secrets.sh` makes in this folder."""
    subprocess.run([MAKE_SECRETS, "--folder", folder, *arguments], check=True, capture_output=True)
    return folder


class SecuredRedis(RedisServer):
    """`secrets` is a folder that `make_secrets` made; `asks_clients` for a certificate.

    `sync_client` is the tests' own hand, a user `tests` who may do everything.
    """

    def __init__(
        self,
        secrets: Path,
        *,
        asks_clients: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.secrets = secrets
        self.tls_port = find_free_port()
        users = secrets / "users-and-tests.acl"
        users.write_text((secrets / "users.acl").read_text() + f"user {TESTS} ~* &* +@all\n")
        super().__init__(
            EXECUTABLES["installed"],
            options={
                "tls-port": str(self.tls_port),
                "tls-cert-file": str(secrets / "redis.crt"),
                "tls-key-file": str(secrets / "redis.key"),
                "tls-ca-cert-file": str(secrets / "ca.crt"),
                "tls-auth-clients": "yes" if asks_clients else "optional",
                "aclfile": str(users),
                **(options or {}),
            },
        )

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.tls_port}/0"

    def variables(self, command: str) -> dict[str, str]:
        user = USERS[command]
        return {
            "EARSHOT_REDIS__URL": self.url,
            "EARSHOT_REDIS__USERNAME": user,
            "EARSHOT_REDIS__PASSWORD_FILE": str(self.secrets / f"redis_{user}"),
            "EARSHOT_REDIS__CA_FILE": str(self.secrets / "ca.crt"),
        }

    def settings(self, user: str, **changes: str) -> RedisSettings:
        """What `variables` come to, for a client in this process."""
        own = {"url": self.url, "username": user, "ca_file": str(self.secrets / "ca.crt")}
        return RedisSettings(password=SecretStr(self.password(user)), **(own | changes))

    def password(self, role: str) -> str:
        return (self.secrets / f"redis_{role}").read_text().strip()

    def client_of(self, user: str) -> redis.Redis:
        """A new blocking client on the Unix socket, for the caller to close."""
        return self._client(user, self.password(user))

    def sync_client(self) -> redis.Redis:
        return self._client("tests", "tests")

    def _client(self, user: str, password: str) -> redis.Redis:
        never = Retry(NoBackoff(), 0)
        return redis.Redis(
            unix_socket_path=str(self.socket),
            username=user,
            password=password,
            protocol=2,
            socket_timeout=5.0,
            retry=never,
        )

    def refusals(self) -> list[str]:
        """What some user tried and may not do, as ACL LOG tells it."""
        with self.sync_client() as client:
            rows: list[dict[str, Any]] = client.acl_log()
        return [
            f"{row['username']}: {row['object']} ({row['context']}, {row['reason']})"
            for row in rows
        ]
