"""What a tool is, what it is given, and what it gives back.

A tool knows a sandbox only through `SandboxProtocol`, so any object with these three methods will do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = [
    "Arguments",
    "CommandResult",
    "SandboxProtocol",
    "Telemetry",
    "Tool",
    "ToolContext",
    "ToolResult",
]

_STRING_BOUNDS = ("minLength", "maxLength", "pattern")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What one command, or one step, cost the machine. A figure that could not be read is None, never zero.

    Times are seconds of CPU, sizes are bytes, pressure is microseconds stalled ("some" line).
    `sources` says for each group of figures where it was read (for example `{"cpu": "cgroup-v1"}`).
    """

    wall_ms: float
    cpu_s: float | None = None
    """User and system together, from the precise counter; its parts may come from a coarser one."""
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    memory_peak_bytes: int | None = None
    memory_bytes: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    net_rx_bytes: int | None = None
    net_tx_bytes: int | None = None
    pids: int | None = None
    oom_kills: int | None = None
    pressure_cpu_us: int | None = None
    pressure_memory_us: int | None = None
    pressure_io_us: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The result of one command in a sandbox."""

    exit_code: int | None
    """The status of the command; None when it was killed by its deadline or took the sandbox with it."""
    output: bytes
    """Standard output and error as written, at most the limit: head and tail with a notice between."""
    total_bytes: int
    """How much was written in all."""
    sha256: str
    """Of everything that was written, also of what `output` leaves out."""
    timed_out: bool = False
    oom_killed: bool = False
    pids_limited: bool = False
    """The limit on processes was reached; everything in the sandbox was killed."""
    disk_limited: bool = False
    """The disk allowance was used up; everything in the sandbox was killed."""
    recovered: str | None = None
    """None, or how the sandbox was brought back: `reopened` (files kept, processes lost),
    `restarted` (files kept, processes lost) or `replaced` (a fresh copy, changes lost)."""
    telemetry: Telemetry

    @property
    def truncated(self) -> bool:
        """Whether `output` is less than what was written."""
        return self.total_bytes != len(self.output)

    @property
    def text(self) -> str:
        r"""`output` as text; bytes that are not UTF-8 are shown as `\xNN`."""
        return self.output.decode("utf-8", errors="backslashreplace")


class SandboxProtocol(Protocol):
    """What tools need from a sandbox."""

    @property
    def workdir(self) -> str:
        """Absolute path of the repository."""
        ...

    def run(self, command: str, *, timeout: float | None = None, output_limit: int | None = None) -> CommandResult:
        """Run a shell command in `workdir`; never raises for what the command does."""
        ...

    def read_file(self, path: str, *, limit: int | None = None) -> bytes:
        """The bytes of a file. Raises FileNotFoundError, IsADirectoryError or PermissionError."""
        ...

    def write_file(self, path: str, data: bytes) -> None:
        """Replace a file's bytes, creating parent folders. Raises OSError."""
        ...


class Arguments(BaseModel):
    """Base of every tool's arguments: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


A_contra = TypeVar("A_contra", bound=Arguments, contravariant=True)
A = TypeVar("A", bound=Arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What a tool may use besides its arguments."""

    sandbox: SandboxProtocol
    base_commit: str = "HEAD"
    """The commit the episode began with."""
    test_command: str | None = None
    """Shell command that runs the repository's tests; chosen tests are appended to it."""
    log_parser: Callable[[str], Mapping[str, str]] | None = None
    """Maps the log of a test run to `{test name: PASSED | FAILED | ERROR | SKIPPED | XFAIL}`."""
    command_timeout: float = 60.0
    """Seconds a command may take unless its arguments say otherwise."""
    test_timeout: float = 300.0
    """Seconds a test run may take."""
    output_limit: int = 16_000
    """Bytes of output an observation may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool did."""

    output: str
    """The observation, as the agent reads it."""
    ok: bool = True
    """The tool did what it was asked to; a command that exits non-zero is still ok."""
    error: str | None = None
    """A short machine-readable kind when not ok, for example `not_found`, `not_unique`, `timeout`."""
    exit_code: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Structured facts for rules and analysis; the keys are documented by each tool."""
    commands: tuple[CommandResult, ...] = ()
    """Every command the tool ran, for its telemetry."""
    done: bool = False
    """The episode ends with this step."""


class Tool(Generic[A]):
    """One thing an agent may do. Subclasses set the class attributes and implement `run`."""

    name: ClassVar[str]
    description: ClassVar[str]
    example: ClassVar[Mapping[str, Any]]
    """Valid arguments, shown to an agent whose action was not."""
    Arguments: type[A]

    def run(self, arguments: A, context: ToolContext) -> ToolResult:
        """Act on the sandbox; what the agent did wrong goes into the result, never an exception."""
        raise NotImplementedError

    def unordered(self, data: Mapping[str, Any]) -> bool:
        """Whether the lines of an observation come in no particular order; `data` are the facts of the step."""
        return False

    def sample(self, rng: "Generator") -> dict[str, Any]:
        """Valid arguments drawn from `rng`, harmless in any repository."""
        return dict(self.example)

    def schema(self) -> dict[str, Any]:
        """The tool in OpenAI's function-calling format.

        Bounds and patterns of strings are left out: a server that holds answers to a schema (xgrammar in vLLM) then
        forbids every escape, and with it quotes and newlines. The tool itself checks them, and says what is wrong.
        """
        parameters = _without_string_bounds(self.Arguments.model_json_schema())
        parameters.pop("title", None)
        parameters.pop("description", None)
        for field_schema in parameters.get("properties", {}).values():
            field_schema.pop("title", None)
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": parameters},
        }


def _without_string_bounds(schema: Any) -> Any:
    """A schema whose strings are just strings."""
    if isinstance(schema, list):
        return [_without_string_bounds(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    found = cast("dict[str, Any]", schema)
    dropped = _STRING_BOUNDS if found.get("type") == "string" else ()
    return {key: _without_string_bounds(value) for key, value in found.items() if key not in dropped}
