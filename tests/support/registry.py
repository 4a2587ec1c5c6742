"""An image registry: as much of the distribution protocol as an engine uses to push and pull."""

import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>blobs/uploads|blobs|manifests)/(?P<reference>[^/]*)$")


@dataclass
class Registry:
    """What it holds, and what it sent."""

    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(
        default_factory=dict[tuple[str, str], tuple[str, bytes]]
    )
    uploads: dict[str, bytes] = field(default_factory=dict[str, bytes])
    sent: int = 0
    """Bytes of blobs."""

    def names(self) -> set[str]:
        """`repository:tag` of every image."""
        return {f"{name}:{tag}" for name, tag in self.manifests if not tag.startswith("sha256:")}


@contextmanager
def serving_registry() -> Generator[Registry]:
    """A registry on a port of this machine."""
    registry = Registry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(registry))
    registry.address = f"localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _digest(data: bytes) -> str:
    return "sha256:" + sha256(data).hexdigest()


def _handler(registry: Registry) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = list[bytes]()
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _look(self) -> None:
            place = _PATH.match(urlsplit(self.path).path)
            if place is None:
                return self._answer(200 if self.path.rstrip("/") == "/v2" else 404)
            if place["kind"] == "blobs":
                data = registry.blobs.get(place["reference"])
                if data is None:
                    return self._answer(404)
                registry.sent += len(data) if self.command == "GET" else 0
                return self._answer(
                    200, {"Docker-Content-Digest": place["reference"], "Content-Length": str(len(data))}, data
                )
            kind, data = registry.manifests.get((place["name"], place["reference"]), ("", b""))
            if not data:
                return self._answer(404)
            said = {"Docker-Content-Digest": _digest(data), "Content-Type": kind, "Content-Length": str(len(data))}
            return self._answer(200, said, data)

        do_GET = do_HEAD = _look  # noqa: N815

        def do_POST(self) -> None:
            place = _PATH.match(urlsplit(self.path).path)
            self._body()
            upload = uuid4().hex
            registry.uploads[upload] = b""
            name = place["name"] if place is not None else ""
            self._answer(202, {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Docker-Upload-UUID": upload})

        def do_PATCH(self) -> None:
            upload = urlsplit(self.path).path.rpartition("/")[2]
            registry.uploads[upload] += self._body()
            last = len(registry.uploads[upload]) - 1
            self._answer(202, {"Location": self.path, "Range": f"0-{last}", "Docker-Upload-UUID": upload})

        def do_PUT(self) -> None:
            parts, data = urlsplit(self.path), self._body()
            place = _PATH.match(parts.path)
            if place is None:
                return self._answer(404)
            if place["kind"] == "manifests":
                entry = str(self.headers["Content-Type"]), data
                registry.manifests[place["name"], place["reference"]] = entry
                registry.manifests[place["name"], _digest(data)] = entry
                return self._answer(201, {"Docker-Content-Digest": _digest(data)})
            data = registry.uploads.pop(place["reference"]) + data
            digest = parse_qs(parts.query)["digest"][0]
            if _digest(data) != digest:
                return self._answer(400)
            registry.blobs[digest] = data
            return self._answer(
                201, {"Docker-Content-Digest": digest, "Location": f"/v2/{place['name']}/blobs/{digest}"}
            )

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
