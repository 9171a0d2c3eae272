"""The services of the compose files as processes of this machine, with no Docker engine.

Each runs its own entrypoint, command and environment; changed is only what a container brings
along: host names and ports, the folders of volumes and secrets, and in the places of a GPU and a
sound card what this machine has. `vllm` is a program that hands its orders on to the stand-in.
Prometheus finds the replicas in a file, which stands for the names that Compose's DNS answers to.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import SecretStr
from redis import Redis

from common.settings import PREFIX, RedisSettings
from ops.local.die_with_parent import die_with_parent
from ops.local.machine import find_free_port
from tests.support.compose_file import SECURE, environment, mounts, services
from tests.support.repository import ROOT

METRICS: Final = 9464
METRICS_PORT: Final = f"{PREFIX}METRICS__PORT"
MONITORING: Final = ROOT / "ops" / "deploy" / "monitoring"
SECRETS: Final = "/run/secrets/"
# vLLM's command line, as far as it means something to the stand-in.
VLLM: Final = """\
#!/bin/sh
[ "$1" = serve ] && [ "$3" = --served-model-name ] || exit 2
EARSHOT_STANDIN_API_KEY=$VLLM_API_KEY exec {python} -m ops.demo.standin --with-parent \\
  --first-token-ms 10 --port {port} --model "$4"
"""
# The images have a `python`; a machine whose Python is a virtual environment's need not.
PYTHON: Final = '#!/bin/sh\nexec {python} "$@"\n'
END_S: Final = 60.0


class ComposeProcesses:
    """All that `docker compose up` with ops/deploy/compose/secure.yml would run, under `env`."""

    def __init__(self, folder: Path, secrets: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.secrets = secrets
        self.env = env
        self.services = services(env, SECURE)
        self.ports = {
            name: find_free_port() for name in ("redis:6379", "vllm:8000", "prometheus:9090")
        }
        self._programs = folder / "bin"
        self._programs.mkdir()
        python = shlex.quote(sys.executable)
        self._program("vllm", VLLM.format(python=python, port=self.ports["vllm:8000"]))
        for name in ("python", "python3"):
            self._program(name, PYTHON.format(python=python))
        # Who answers to the health check, and at which port of this machine.
        self.monitored: list[tuple[str, int]] = []
        self._scraped: frozenset[str] = frozenset()
        self._targets = folder / "targets.json"
        self._stack = ExitStack()
        self._number = 0

    def _program(self, name: str, text: str) -> None:
        path = self._programs / name
        path.write_text(text)
        path.chmod(0o755)

    def replicas(self, name: str) -> int:
        """How many of a service there are."""
        return int(self.services[name]["deploy"].get("replicas", 1))

    def start(
        self, name: str, *arguments: str, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """One replica; `arguments` follow its command. Its output goes to a file."""
        self._number += 1
        variables = self._environment(name) | dict(env or {})
        if METRICS_PORT in variables:
            self.monitored.append((name, find_free_port()))
            variables[METRICS_PORT] = str(self.monitored[-1][1])
            self._name_targets()
        if name == "prometheus":
            self._write_prometheus_files()
        with (self.folder / f"{name}-{self._number}.log").open("wb") as log:
            process = subprocess.Popen(
                [*self._argv(name), *arguments],
                env=variables,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        self._stack.enter_context(_ended(process))
        return process

    def run(self, name: str, *command: str) -> str:
        """`docker compose run --rm NAME COMMAND`: its output."""
        entrypoint = self._entrypoint(name)
        done = subprocess.run(
            [*entrypoint, *command],
            env=self._environment(name),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=END_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def is_ready(self, name: str, port: int = 0) -> bool:
        """Whether the service's health check passes; of a role, for the process at `port`."""
        kind, *check = (
            self._here(part).replace(f":{METRICS}/", f":{port}/")
            for part in self.services[name]["healthcheck"]["test"]
        )
        argv = ["sh", "-c", *check] if kind == "CMD-SHELL" else check
        environ = self._environment(name)
        return subprocess.run(argv, env=environ, capture_output=True, check=False).returncode == 0

    def logs(self) -> str:
        return "\n".join(
            f"{path.name}: {path.read_text(errors='replace')[-1_500:]}"
            for path in sorted(self.folder.glob("*.log"))
        )

    def redis(self, user: str) -> RedisSettings:
        """How a user reaches Redis from this process."""
        return RedisSettings(
            url=f"rediss://127.0.0.1:{self.ports['redis:6379']}/0",
            username=user,
            password=SecretStr((self.secrets / f"redis_{user}").read_text().strip()),
            ca_file=str(self.secrets / "ca.crt"),
        )

    def asked(self, path: str) -> Any:
        """What Prometheus answers at a path of its HTTP API."""
        url = f"http://127.0.0.1:{self.ports['prometheus:9090']}/api/v1/{path}"
        with urllib.request.urlopen(url, timeout=END_S) as response:
            return json.load(response)["data"]

    def refusals(self) -> list[str]:
        """What some user tried and may not do, as ACL LOG tells it."""
        with Redis(
            port=self.ports["redis:6379"],
            ssl=True,
            ssl_ca_certs=str(self.secrets / "ca.crt"),
            username="admin",
            password=(self.secrets / "redis_admin").read_text().strip(),
        ) as client:
            return [f"{row['username']}: {row['object']}" for row in client.acl_log()]

    def _argv(self, name: str) -> list[str]:
        command = self.services[name].get("command", [])
        if isinstance(command, str):
            command = shlex.split(command)
        argv = [*self._entrypoint(name), *map(self._here, command)]
        if name == "redis":
            place = argv.index("--tls-port")
            argv[place + 1] = str(self.ports["redis:6379"])
            argv += ["--bind", "127.0.0.1", "--dir", str(self.folder)]
        if name == "prometheus":
            argv = [self._mounted(name, part) for part in argv]
            argv.append(f"--web.listen-address=127.0.0.1:{self.ports['prometheus:9090']}")
        return argv

    def _entrypoint(self, name: str) -> list[str]:
        service = self.services[name]
        if "entrypoint" in service:
            return [self._here(part) for part in service["entrypoint"]]
        if str(service["image"]).startswith("earshot-"):
            return [sys.executable, "-P", "-m", "ops.cli"]  # the images' entrypoint is `earshot`
        return ["prometheus"] if name == "prometheus" else []

    def _environment(self, name: str) -> dict[str, str]:
        service = self.services[name]
        given = {
            variable: self._here(value)
            for variable, value in environment(service, self.env).items()
        }
        given = {variable: self._mounted(name, value) for variable, value in given.items()}
        if given.get(f"{PREFIX}STT__DEVICE") == "cuda":
            given |= {f"{PREFIX}STT__DEVICE": "cpu", f"{PREFIX}STT__COMPUTE_TYPE": "int8"}
        outside = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        outside["PATH"] = f"{self._programs}:{outside['PATH']}"
        return outside | {"PYTHONPATH": str(ROOT)} | given

    def _mounted(self, name: str, value: str) -> str:
        """A value of a service, or an option with one, that may be a path inside of it."""
        option, equals, path = value.rpartition("=")
        for inside, native in mounts(self.services[name], self.folder):
            if path.startswith(inside):
                path = path.replace(inside, native, 1)
                break
        return f"{option}{equals}{path}"

    def _write_prometheus_files(self) -> None:
        """Its own, but for where the replicas are found: in a file instead of in the DNS."""
        folder = Path(self._mounted("prometheus", "/etc/prometheus/prometheus.yml")).parent
        folder.mkdir(parents=True, exist_ok=True)
        text = self._here((MONITORING / "prometheus.yml").read_text())
        config = yaml.safe_load(text)
        for job in config["scrape_configs"]:
            for found in job.pop("dns_sd_configs", []):
                assert found["port"] == METRICS
                self._scraped = frozenset(found["names"])
                job["file_sd_configs"] = [{"files": [str(self._targets)]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        (folder / "rules.yml").write_text((MONITORING / "rules.yml").read_text())
        self._name_targets()

    def _name_targets(self) -> None:
        found = [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"__meta_dns_name": name}}
            for name, port in self.monitored
            if name in self._scraped
        ]
        partial = self._targets.with_suffix(".part")
        partial.write_text(json.dumps(found))
        partial.replace(self._targets)

    def _here(self, text: str) -> str:
        text = text.replace(SECRETS, f"{self.secrets}/")
        for place, port in self.ports.items():
            text = text.replace(place, f"127.0.0.1:{port}")
        text = re.sub(r"\bredis-cli\b", f"redis-cli -p {self.ports['redis:6379']}", text)
        for place, port in self.ports.items():
            text = text.replace(f"127.0.0.1:{place.partition(':')[2]}/", f"127.0.0.1:{port}/")
        return text

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()
