"""A model service that does what a test tells it to, byte for byte; also what a real one does only when it breaks."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

Act = Callable[["Talk"], None]


@dataclass
class Talk:
    """One request as it came, and the connection to answer it."""

    connection: socket.socket
    head: bytes
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}

    @property
    def first_line(self) -> str:
        return self.head.decode("latin-1").split("\r\n")[0]

    def answer(self, body: bytes, status: str = "200 OK", *headers: str, kind: str = "application/json") -> None:
        lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *headers, "", ""]
        self.connection.sendall("\r\n".join(lines).encode() + body)

    def stream(self, *headers: str) -> None:
        lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream", "transfer-encoding: chunked", *headers, "", ""]
        self.connection.sendall("\r\n".join(lines).encode())

    def chunk(self, data: bytes) -> None:
        self.connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, data: str, name: str | None = None) -> None:
        self.chunk((f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode())

    def end(self) -> None:
        self.connection.sendall(b"0\r\n\r\n")

    def cut(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.connection.close()


@dataclass
class Scripted:
    """Answers every request by `act`, each connection in a thread of its own."""

    act: Act
    talks: list[Talk] = field(default_factory=list[Talk])
    problems: list[str] = field(default_factory=list[str])
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connection, args=(connection,), daemon=True).start()

    def _connection(self, connection: socket.socket) -> None:
        try:
            with connection:
                buffer = b""
                while True:
                    while b"\r\n\r\n" not in buffer:
                        data = connection.recv(65536)
                        if not data:
                            return
                        buffer += data
                    head, _, buffer = buffer.partition(b"\r\n\r\n")
                    talk = Talk(connection, head, b"")
                    length = int(talk.headers.get("content-length", 0))
                    while len(buffer) < length:
                        buffer += connection.recv(65536)
                    talk.body, buffer = buffer[:length], buffer[length:]
                    self.talks.append(talk)
                    self.act(talk)
        except OSError as error:
            self.problems.append(str(error))


@contextmanager
def scripted(act: Act) -> Generator[Scripted]:
    """A service on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        service = Scripted(act, port=listening.getsockname()[1])
        thread = threading.Thread(target=service.serve, args=(listening,), daemon=True)
        thread.start()
        yield service
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
