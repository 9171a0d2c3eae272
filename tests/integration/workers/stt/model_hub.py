"""A model hub in one thread: the few requests of huggingface_hub that fetching a model takes."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final
from urllib.parse import urlsplit

COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def model_hub(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[str]:
    """Serve repositories (`owner/name` -> file -> content) on a free port; yields the address."""

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_HEAD(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = urlsplit(self.path).path.removeprefix("/api/models").strip("/")
            owner, name, what, *rest = [*path.split("/"), "", ""]
            files = repositories.get(f"{owner}/{name}")
            if files is None:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif what == "revision":
                siblings = [{"rfilename": file} for file in files]
                info = {"id": f"{owner}/{name}", "sha": COMMIT, "siblings": siblings}
                self._send(200, json.dumps(info).encode())
            elif what == "tree":
                tree = [
                    {"type": "file", "path": file, "size": len(content), "oid": _etag(content)}
                    for file, content in files.items()
                ]
                self._send(200, json.dumps(tree).encode())
            else:
                content = files[rest[1]]
                self._send(200, content, {"ETag": _etag(content), "X-Repo-Commit": COMMIT})

        def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _etag(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
