"""What an event says beyond its envelope: one model per event type.

Every model keeps fields it does not know (a newer version wrote them), so that reading and writing a log
again loses nothing. A figure that is not known is None, never zero.
"""

from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, ValidationError

from ..errors import Failure, StopReason
from ..rewards.service.usage import RequestAttempt, Usage
from ..tools.text import without_surrogates
from .timestamps import Timestamp

__all__ = [
    "CriterionRecord",
    "EpisodeEnd",
    "EpisodeStart",
    "Error",
    "FinalPatch",
    "LlmRequest",
    "LlmResponse",
    "Note",
    "Origin",
    "Parent",
    "Part",
    "Payload",
    "Phase",
    "Plain",
    "RequestAttempt",
    "SandboxMetric",
    "StepReward",
    "TestRun",
    "ToolCall",
    "ToolResult",
    "Usage",
    "Verdict",
    "clean",
]


clean = without_surrogates
"""Text as a log holds it."""


class Payload(BaseModel, frozen=True, extra="allow", use_attribute_docstrings=True):
    """Base of every payload."""

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """A payload from what an agent or a model wrote, whatever its text contains."""
        try:
            return cls(**fields)
        except ValidationError:
            return cls(**clean(fields))


class Plain(NamedTuple):
    """A payload that its maker vouches for: its line is the model's, without the time that checking takes."""

    kind: type[Payload]
    fields: dict[str, Any]
    """Every field of the model, in its order and of its type, and others after them."""

    def model(self) -> Payload:
        """The payload, checked."""
        return self.kind.of(**self.fields)


class Parent(Payload, frozen=True):
    """The episode that this one branched from: its first steps were carried out again, and are recorded here too."""

    episode_id: str | None = None
    """None for steps that came from no recorded episode."""
    run_id: str | None = None
    steps: int
    """How many: the steps 0 to `steps - 1` of this episode are those of the parent."""


class Origin(Payload, frozen=True):
    """Whose record this episode was made from, for one that was not recorded here."""

    format: str
    """Name of the adapter, for example `claude-code`."""
    adapter: str
    """Name and version of the adapter."""
    source: str
    """Name of the file or folder it was read from."""
    key: str
    """Which of the source's episodes it is."""
    sha256: str | None = None
    """Of the source, where it is one file."""
    timing: Literal["recorded", "durations", "none"] = "none"
    """`recorded`: the times of events are the source's; `durations`: only how long things took is, and the times begin
    at the time of the source's file; `none`: the source says nothing of time, so durations mean nothing."""


class EpisodeStart(Payload, frozen=True):
    """The world was reset; the duration of the event is that of the reset."""

    task: dict[str, Any] = Field(default_factory=dict[str, Any])
    """What the agent was told of the task."""
    observation: str = ""
    """The first observation."""
    tools: tuple[dict[str, Any], ...] = ()
    """The action space, in OpenAI's function-calling format."""
    limits: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Budgets of the episode."""
    sandbox: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Image, image id and limits of the container."""
    attempt: int = 1
    """1 for the first try of this task and seed; an earlier attempt is a record of its own."""
    privileged: bool = False
    """The policy was shown the reference patch."""
    parent: Parent | None = None
    """Where it branched off; None for an episode that began with the task."""
    origin: Origin | None = None
    """Whose record it was made from; None for an episode of our own. Since 1.3."""


class Phase(Payload, frozen=True):
    """A stretch of the episode begins that has a name (see `phases.PhaseName`); it lasts until the next one begins."""

    name: str
    step: int | None = None
    """The first step that belongs to it; None for one that has no steps, such as the reset; since 1.2."""
    evidence: str | None = None
    """Why this stretch was given that name."""


class Part(Payload, frozen=True):
    """A piece of a prompt or an answer, where its record tells pieces apart."""

    kind: str
    """`user_message` or `tool_result` of a prompt; `reasoning`, `text` or `tool_call` of an answer, and `usage` for
    when its token counts were told."""
    at: Timestamp | None = None
    """When it was there."""
    chars: int | None = None
    call_id: str | None = None


class LlmRequest(Payload, frozen=True):
    """A model is asked. Only messages that the previous request did not hold are repeated here."""

    request_id: str
    model: str
    endpoint: str | None = None
    kept_messages: int = 0
    """How many messages of the previous request this one begins with."""
    messages: tuple[dict[str, Any], ...] = ()
    """The messages after those, exactly as sent."""
    kept_tokens: int = 0
    """How many tokens of the previous prompt and answer together this prompt begins with; since 1.2."""
    token_ids: tuple[int, ...] | None = None
    """The tokens after those, exactly as sent; None where text was sent. Since 1.2."""
    parameters: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Everything else that was sent except the tools, which `episode_start` holds."""
    thread: str | None = None
    """The conversation of a subagent; None for the episode's own. Since 1.3."""
    parts: tuple[Part, ...] = ()
    """What is new in it, piece by piece, where a record tells when each was there; since 1.3."""


class LlmResponse(Payload, frozen=True):
    """A model answered."""

    request_id: str
    model: str | None = None
    """The model that the service says answered."""
    content: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[dict[str, Any], ...] = ()
    """As received, arguments unparsed."""
    finish_reason: str | None = None
    usage: Usage = Field(default_factory=Usage)
    cost_usd: float | None = None
    """By the run's price table; None when the table has no price for the model."""
    time_to_first_token_ms: float | None = None
    failed_attempts: tuple[RequestAttempt, ...] = ()
    prompt_token_ids: tuple[int, ...] | None = None
    """The whole prompt, as the service says; None where the request holds the tokens."""
    completion_token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    """Of the completion's tokens."""
    parts: tuple[Part, ...] = ()
    """Its pieces in their order, where a record tells when each was there; since 1.3."""


class ToolCall(Payload, frozen=True):
    """The agent acted."""

    step: int
    tool: str | None
    """None when the action could not be understood."""
    arguments: dict[str, Any] = Field(default_factory=dict[str, Any])
    action: str
    """The action exactly as given."""
    thought: str | None = None
    malformed: bool = False
    call_id: str | None = None
    """The service's own identifier of the call."""
    request_id: str | None = None
    """The request whose answer made the call, where that is known; since 1.3."""


class ToolResult(Payload, frozen=True):
    """What the action led to; the times are those of the tool's work."""

    step: int
    tool: str | None
    ok: bool
    error: str | None = None
    exit_code: int | None = None
    observation: str
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Structured facts that the tool reports."""
    internal_ms: float | None = None
    """How long the tool itself says it took, where the event's times are those of a call and its result; since 1.3."""


class TestRun(Payload, frozen=True):
    """The agent ran tests."""

    __test__ = False  # pytest would collect it

    step: int
    command: str | None = None
    selected: tuple[str, ...] = ()
    tests: dict[str, str] = Field(default_factory=dict[str, str])
    counts: dict[str, int] = Field(default_factory=dict[str, int])
    parsed: bool = False
    """Whether the log could be read; if not, `tests` says nothing."""


class CriterionRecord(Payload, frozen=True):
    """One criterion's score of one step.

    A judge adds `reason` (a sentence) and, where several answers were asked, `spread` (their standard deviation); a
    combination of layers adds `parts`: the same fields of each layer.
    """

    criterion: str
    score: float | None = None
    """In [0, 1]; None when the criterion did not apply."""
    layer: str | None = None
    """Who scored, for example `rules@1`."""
    rules: tuple[dict[str, Any], ...] = ()
    """`rule`, `score`, `weight` and `evidence` of each rule that applied."""
    set_aside_by: str | None = None
    """The decisive rule because of which there is no score although rules apply."""


class StepReward(Payload, frozen=True):
    """What a step was worth.

    With a judge, `record` says how its scores came about: prompt, context, and each answer with model, tokens, cost,
    latency and the key of the whole exchange in the cache.
    """

    step: int
    reward: float
    criteria: tuple[CriterionRecord, ...] = ()
    process: dict[str, Any] | None = None
    """What the episode is worth up to this step."""


class SandboxMetric(Payload, frozen=True):
    """What the machine spent. The names are those of `trajectory_hub.tools.Telemetry`."""

    scope: str = "step"
    """`step`: spent by one step; `sample`: levels at an instant, and what was spent since the sample before (`wall_ms`
    ago); `episode`: spent by all of it."""
    step: int | None = None
    wall_ms: float | None = None
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    cpu_s: float | None = None
    """User and system time together, also where they cannot be told apart."""
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
    power_w: float | None = None
    """What the GPUs drew at that moment; since 1.3."""
    energy_j: float | None = None
    """What the GPUs took, the share of this episode where several went on at once; since 1.3."""
    sources: dict[str, str] = Field(default_factory=dict[str, str])


class Error(Payload, frozen=True):
    """Something failed that is not an observation of the agent."""

    where: str
    """`policy`, `environment`, `grader` or `runner`."""
    kind: str
    """Class of the error."""
    message: str
    failure: Failure | None = None
    step: int | None = None


class Note(Payload, frozen=True):
    """A fact of an agent's own record that is none of the other events: a compaction, a permission, a mode."""

    kind: str
    """What it is, in the words of `source`; `compaction`, `permission`, `user_interrupt` whoever says it."""
    source: str
    """Whose record says so: the format it was read from, `otlp` or `proxy`; `steering` for a prediction of ours."""
    step: int | None = None
    data: dict[str, Any] = Field(default_factory=dict[str, Any])
    """What was recorded."""


class FinalPatch(Payload, frozen=True):
    """What the agent changed, as a unified diff against the base commit."""

    patch: str
    sha256: str
    files: tuple[str, ...] = ()
    lines_added: int = 0
    lines_removed: int = 0


class Verdict(Payload, frozen=True):
    """What the trusted grader said of the final patch. Kept apart from the reward."""

    resolved: bool | None
    """None when the tests could not be run."""
    outcome: str | None = None
    """The grader's own word for it."""
    patch_sha256: str | None = None
    """Of the patch that was graded."""
    report: dict[str, Any] = Field(default_factory=dict[str, Any])
    """The whole verdict."""


class EpisodeEnd(Payload, frozen=True):
    """The episode is over; the duration of the event is that of the whole episode."""

    stop_reason: StopReason
    failure: Failure | None = None
    message: str | None = None
    """In a sentence, when there is more to say than the stop reason."""
    steps: int
    malformed_actions: int = 0
    mean_reward: float | None = None
    """Mean of the step rewards; a sum would pay for length."""
    process_score: float | None = None
    """What the whole episode is worth as a process, apart from its outcome."""
    usage: Usage = Field(default_factory=Usage)
    cost_usd: float | None = None
    """None when a request's cost is not known; 0 when there was no request."""
    requests: int = 0
    reset_ms: float | None = None
    tool_ms: float | None = None
    """Time spent in tools."""
    policy_ms: float | None = None
    """Time spent waiting for actions."""
    cpu_s: float | None = None
    memory_peak_bytes: int | None = None
    recovered: bool = False
    """Written afterwards for an episode whose process died."""
    join: dict[str, Any] | None = None
    """Of a black box: how its records fit together (`matched`, `unmatched`, `share`, `by`, `clock`, `sources` …; see
    `docs/agents.md`). Since 1.3."""
    sampling: dict[str, Any] | None = None
    """Of a black box: how many samples were taken, and what that cost. Since 1.3."""
    process: dict[str, Any] | None = None
    """Of a black box: exit code, output and limits of the agent's process. Since 1.3."""
