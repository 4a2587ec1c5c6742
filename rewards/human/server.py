"""The labelling page and its interface, served to browsers on this machine only.

**Who may talk to it.** It listens on the loopback address. Every address begins with a token that is new at each start,
so that another user or page of this machine cannot guess it. A request whose `Host` is not this server is refused (a
name that an attacker points to 127.0.0.1 would be one), and so is a request to save that another site's page sends.
The page runs no script but its own file, loads nothing from elsewhere, and may not be framed.
"""

import json
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs

from pydantic import BaseModel, TypeAdapter, ValidationError

from ...errors import TrajHubError, UsageError
from .labels import Annotator
from .session import SaveRequest, Session

__all__ = ["HOST", "LabelServer"]

HOST = "127.0.0.1"
_BODY_LIMIT = 64 * 1024
_FILES = {
    "": ("label.html", "text/html; charset=utf-8"),
    "label.js": ("label.js", "text/javascript; charset=utf-8"),
    "label_view.js": ("label_view.js", "text/javascript; charset=utf-8"),
    "label.css": ("label.css", "text/css; charset=utf-8"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_ANNOTATOR: TypeAdapter[str] = TypeAdapter(Annotator)


class _Refused(Exception):
    """Raised when a request is answered with an error."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Undo(BaseModel, extra="forbid"):
    annotator: Annotator


class LabelServer(ThreadingHTTPServer):
    """Serves one session. `serve_forever` until `shutdown`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, session: Session, *, port: int = 0, token: str | None = None) -> None:
        """Raises UsageError when the port is taken."""
        self.session = session
        self.token = token or secrets.token_urlsafe(18)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UsageError(f"port {port} cannot be used ({error.strerror}); --port 0 finds a free one") from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is no error; anything else is told on standard error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(cast("Any", request), client_address)

    def overview(self, query: dict[str, str]) -> dict[str, Any]:
        """GET api/session: what there is to label."""
        return self.session.overview(_annotator(query))

    def item(self, query: dict[str, str]) -> dict[str, Any]:
        """GET api/item: one item."""
        return self.session.shown(_annotator(query), query.get("id", ""))

    def save(self, body: bytes) -> dict[str, Any]:
        """POST api/save: keep an answer. It is on disk before this returns."""
        request = SaveRequest.model_validate_json(body)
        self.session.save(request)
        return self.session.overview(request.annotator)

    def undo(self, body: bytes) -> dict[str, Any]:
        """POST api/undo: withdraw the annotator's last answer."""
        annotator = _Undo.model_validate_json(body).annotator
        return self.session.undo(annotator)


def _annotator(query: dict[str, str]) -> str:
    return _ANNOTATOR.validate_python(query.get("annotator", ""))


class _Handler(BaseHTTPRequestHandler):
    """One request. Connections are kept; nothing is logged, since addresses hold the token."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body would wait 40 ms for its headers to be acknowledged
    server_version = "trajhub"
    sys_version = ""
    timeout: ClassVar[float] = 30  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, respond: Callable[[str, dict[str, str]], tuple[bytes, str]]) -> None:
        """Send what `respond` gives; a refusal, and what the caller did wrong, as a message in JSON."""
        status = HTTPStatus.OK
        try:
            path, query = self._admitted()
            body, kind = respond(path, query)
        except _Refused as refused:
            status, body, kind = refused.status, *_json({"error": str(refused)})
        except ValidationError as error:
            status, body, kind = HTTPStatus.UNPROCESSABLE_ENTITY, *_json({"error": _told(error)})
        except UsageError as error:
            status, body, kind = HTTPStatus.UNPROCESSABLE_ENTITY, *_json({"error": str(error)})
        except TrajHubError as error:
            status, body, kind = HTTPStatus.INTERNAL_SERVER_ERROR, *_json({"error": str(error)})
        if status != HTTPStatus.OK:
            self.close_connection = True  # what is left of the request was not read
        self._send(status, body, kind)

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    @property
    def _server(self) -> LabelServer:
        return cast("LabelServer", self.server)

    def _admitted(self) -> tuple[str, dict[str, str]]:
        """The path after the token, and the query, of a request that may be answered."""
        hosts = {f"{name}:{self._server.port}" for name in (HOST, "localhost")}
        if self.headers.get("Host", "") not in hosts:
            raise _Refused(HTTPStatus.MISDIRECTED_REQUEST, "this is not the address of the labelling page")
        target, _, query = self.path.partition("?")
        token, slash, path = target.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self._server.token.encode()) or not slash:
            raise _Refused(HTTPStatus.FORBIDDEN, "this address is not valid (any more); `trajhub label` prints one")
        return path, {name: values[-1] for name, values in parse_qs(query).items()}

    def _get(self, path: str, query: dict[str, str]) -> tuple[bytes, str]:
        if path in _FILES:
            name, kind = _FILES[path]
            return Path(__file__).with_name(name).read_bytes(), kind
        actions = {"api/session": self._server.overview, "api/item": self._server.item}
        if path not in actions:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        return _json(actions[path](query))

    def _post(self, path: str, _: dict[str, str]) -> tuple[bytes, str]:
        actions = {"api/save": self._server.save, "api/undo": self._server.undo}
        if path not in actions:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        if self.headers.get("Origin", self._origin()) not in (self._origin(), f"http://localhost:{self._server.port}"):
            raise _Refused(HTTPStatus.FORBIDDEN, "only the labelling page may save")
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send JSON")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "send a body with its length")
        if int(length) > _BODY_LIMIT:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {_BODY_LIMIT} bytes")
        return _json(actions[path](self.rfile.read(int(length))))

    def _origin(self) -> str:
        return f"http://{HOST}:{self._server.port}"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _json(value: object) -> tuple[bytes, str]:
    return json.dumps(value).encode(), "application/json"


def _told(error: ValidationError) -> str:
    """What does not fit, without repeating what was sent."""
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'request'}: {each['msg']}" for each in error.errors())
