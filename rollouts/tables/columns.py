"""The columns of layer 2: name, type and one meaning each, units included; schemas and documentation come from here.

Null says that a figure is not known; it is never zero for that. Times are UTC. `_ms` are milliseconds of wall time,
`_bytes` bytes, `_s` seconds of CPU, `_usd` US dollars, `_tokens` tokens as the model's service counts them, `_chars`
characters. Names of episodes' columns that other tables repeat (`run_id`, `episode_id`) mean the same there.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from ...errors import MissingExtra

__all__ = ["COLUMNS", "TABLES", "Column", "arrow", "schema"]


class Column(NamedTuple):
    """One column of a table."""

    name: str
    type: str
    """As Arrow writes it: `string`, `int64`, `double`, `bool`, `timestamp[us, tz=UTC]` or `list<string>`."""
    meaning: str


_TEXT, _COUNT, _NUMBER, _FLAG, _TIME = "string", "int64", "double", "bool", "timestamp[us, tz=UTC]"
_TEXTS = "list<string>"
_WHO = (
    Column("run_id", _TEXT, "Run that the episode belongs to."),
    Column("episode_id", _TEXT, "Episode; also the name of its folder under the run's `episodes/`."),
)
_MACHINE = (
    Column("io_read_bytes", _COUNT, "Bytes read from block devices or files, as far as the source counts them."),
    Column("io_write_bytes", _COUNT, "Bytes written."),
    Column("net_rx_bytes", _COUNT, "Bytes received over the network."),
    Column("net_tx_bytes", _COUNT, "Bytes sent over the network."),
)

_EPISODES = (
    *_WHO,
    Column("task_id", _TEXT, "Task, or what a foreign record calls the piece of work."),
    Column("repo", _TEXT, "Repository of the task; null where the record does not say."),
    Column("commit", _TEXT, "Base commit of the task; null where the record does not say."),
    Column("agent", _TEXT, "Who acted: a policy of ours or a foreign agent."),
    Column("agent_version", _TEXT, "Its version; null where unknown."),
    Column("model", _TEXT, "The model that was asked: the episode's, else the one most of its requests name."),
    Column("seed", _COUNT, "Seed of the episode."),
    Column("attempt", _COUNT, "1 for the first try of this task and seed."),
    Column("format", _TEXT, "`trajhub` for a record of our own, else the name of the adapter that read it."),
    Column("timing", _TEXT, "`recorded`: times are real; `durations`: only durations are; `none`: neither."),
    Column("t_start", _TIME, "Begin of the episode, its reset included; null unless timing is `recorded`."),
    Column("t_end", _TIME, "End of the episode: the last moment that belongs to it; null likewise."),
    Column("wall_ms", _NUMBER, "From begin to end: the sum of model, tool, environment, human and idle time."),
    Column("stop_reason", _TEXT, "Why it ended (closed list, see `errors.StopReason`); null while it runs."),
    Column("failure", _TEXT, "Who is to blame (closed list, see `errors.Failure`); null for nobody."),
    Column("excluded", _FLAG, "It says nothing about the agent (environment, service or grader failed)."),
    Column("resolved", _FLAG, "The verdict; null without one or when the tests could not be run."),
    Column("outcome", _TEXT, "The grader's own word for the verdict."),
    Column("graded", _FLAG, "There is a verdict."),
    Column(
        "steps", _COUNT, "Tool calls that have a result; null, as other counts, where the record tells an outcome only."
    ),
    Column("requests", _COUNT, "Requests to a model that were answered."),
    Column("malformed_actions", _COUNT, "Steps whose action was no valid tool call."),
    Column("mean_reward", _NUMBER, "Mean of the steps' rewards, in [0, 1]; null when nothing was scored."),
    Column("process_score", _NUMBER, "What the episode is worth as a process, in [0, 1]."),
    Column(
        "scored_by", _TEXT, "Whose scores: the layers that the log names, else those of `trajhub trace score`; or null."
    ),
    Column("cost_usd", _NUMBER, "Of all requests; null when one of them has no known cost."),
    Column("cost_source", _TEXT, "`recorded`: the log says so; `prices`: from the price table; null: not known."),
    Column(
        "cost_input_usd",
        _NUMBER,
        "Prompt tokens neither read from a cache nor written to one, by the price table; null: no price.",
    ),
    Column("cost_cached_usd", _NUMBER, "Likewise, of prompt tokens read from the service's cache."),
    Column("cost_cache_creation_usd", _NUMBER, "Likewise, of prompt tokens written to the service's cache."),
    Column("cost_output_usd", _NUMBER, "Likewise, of generated tokens, reasoning included."),
    Column("cost_reasoning_usd", _NUMBER, "Of that, reasoning."),
    Column("input_tokens", _COUNT, "All prompt tokens of all requests, cached ones and cache creation included."),
    Column("cached_tokens", _COUNT, "Of those, read from the service's cache."),
    Column("cache_creation_tokens", _COUNT, "Of those, written to the service's cache."),
    Column("output_tokens", _COUNT, "All generated tokens, reasoning included."),
    Column("reasoning_tokens", _COUNT, "Of those, reasoning."),
    Column("reset_ms", _NUMBER, "Until the world was ready; null where the record does not tell it apart."),
    Column("model_ms", _NUMBER, "A model at work and no tool, or a subagent's model; parallel requests count once."),
    Column("tool_ms", _NUMBER, "A tool at work and no subagent's model; parallel calls count once."),
    Column("environment_ms", _NUMBER, "Work of the sandbox outside tools: the reset, and taking the patch."),
    Column("idle_ms", _NUMBER, "The rest of the wall time: the harness itself, or nothing at all."),
    Column("human_ms", _NUMBER, "Waiting for a person: from an answer without a tool call to the next user message."),
    Column("user_messages", _COUNT, "Messages of a person, the task included."),
    Column("compactions", _COUNT, "Times that the conversation was summarised to save room."),
    Column("tool_calls", _COUNT, "Tool calls, those without a result included."),
    Column("tool_failures", _COUNT, "Steps that failed: the tool refused, or the command or a test failed."),
    Column("tests_run", _COUNT, "Steps that ran tests."),
    Column("tests_passed_last", _COUNT, "Tests that passed in the last of them whose output tells."),
    Column("edits", _COUNT, "Steps that changed a file of the repository."),
    Column("reverts", _COUNT, "Steps that brought a file of the repository back to an earlier content."),
    Column("files_read", _TEXTS, "Files shown to the agent, in order of first sight; relative to the repository."),
    Column("files_edited", _TEXTS, "Files of the repository that were changed, in order of first change."),
    Column("cpu_s", _NUMBER, "User and system time of the sandbox: of the samples, else of all steps."),
    Column("memory_peak_bytes", _COUNT, "Most memory at once: of steps and samples."),
    Column("memory_mean_bytes", _NUMBER, "Mean of the samples weighted by time; else of steps by their duration."),
    *_MACHINE,
    Column(
        "energy_j",
        _NUMBER,
        "Joules that the GPUs took: its share, where episodes run at once.",
    ),
    Column("patch_sha256", _TEXT, "Checksum of the final patch."),
    Column("patch_files", _TEXTS, "Files that the final patch changes."),
    Column("lines_added", _COUNT, "Lines that the final patch adds."),
    Column("lines_removed", _COUNT, "Lines that the final patch removes."),
    Column("join_quality", _NUMBER, "Share of telemetry matched to the transcript, in [0, 1]; black boxes only."),
    Column("attempt_final", _FLAG, "The attempt that counts: the last one of its task and seed, or a foreign record."),
)

_STEPS = (
    *_WHO,
    Column("step", _COUNT, "Position in the episode, from 0."),
    Column("request", _COUNT, "The request whose answer made the call (`requests.request`); null where unknown."),
    Column("tool", _TEXT, "The agent's own name of the tool; null when the action could not be understood."),
    Column(
        "action",
        _TEXT,
        "What it does, whichever tool does it: read, search, list, vcs, edit, run, test, setup, submit, think, "
        "malformed or other.",
    ),
    Column("program", _TEXT, "Program of a shell command that names its action; null for other tools."),
    Column("phase", _TEXT, "Phase that the step belongs to: explore, reproduce, edit, test, setup, submit …"),
    Column("t_start", _TIME, "The call; null unless timing is `recorded`."),
    Column("t_end", _TIME, "The result; null likewise."),
    Column("tool_ms", _NUMBER, "From call to result; null where the record does not say."),
    Column("internal_ms", _NUMBER, "How long the tool itself says it took."),
    Column(
        "gap_ms", _NUMBER, "From the latest result before to this call; 0 for calls in parallel, null for the first."
    ),
    Column("ok", _FLAG, "The tool did what it was asked to; a command that exits non-zero is still ok."),
    Column("failed", _FLAG, "The tool refused, or the command or a test failed."),
    Column("error", _TEXT, "Machine-readable kind of error."),
    Column("exit_code", _COUNT, "Of the command."),
    Column("malformed", _FLAG, "The action was no valid tool call."),
    Column("paths", _TEXTS, "Files and folders that the arguments name, relative to the repository where inside it."),
    Column("edited", _TEXTS, "Files that it changed."),
    Column("created", _TEXTS, "Of those, the ones that were not there before."),
    Column("edit_line", _COUNT, "First line that it changed, from 1, where that is known."),
    Column("reverted", _FLAG, "It brought a file of the repository back to an earlier content."),
    Column("tests_passed", _COUNT, "Tests that passed; null for a step that ran none, or whose output does not tell."),
    Column("tests_failed", _COUNT, "Tests that failed or erred; null likewise."),
    Column("repeated", _FLAG, "Its signature was seen before in the episode."),
    Column("signature", _TEXT, "16 hexadecimal digits, equal for steps that ask for the same thing."),
    Column("action_chars", _COUNT, "Length of the action as written."),
    Column("observation_chars", _COUNT, "Length of what the agent got to read."),
    Column("thought_chars", _COUNT, "Length of the text given with the action; null without any."),
    Column("reward", _NUMBER, "What it was worth, in [0, 1]; null when it was not scored."),
    Column("cpu_s", _NUMBER, "User and system time that it took."),
    Column("cpu_user_s", _NUMBER, "Of that, user time."),
    Column("cpu_system_s", _NUMBER, "Of that, system time."),
    Column("memory_peak_bytes", _COUNT, "Most memory at once while it ran."),
    *_MACHINE,
)

_REQUESTS = (
    *_WHO,
    Column("request", _COUNT, "Position among the episode's requests, by their answers, from 0."),
    Column("request_id", _TEXT, "Identifier in the log."),
    Column("thread", _TEXT, "Conversation of a subagent; null for the episode's own."),
    Column("model", _TEXT, "The model that answered, else the one that was asked."),
    Column("t_start", _TIME, "When it was asked; null unless timing is `recorded`."),
    Column("t_end", _TIME, "When the answer was complete; null likewise."),
    Column("model_ms", _NUMBER, "From asking to the complete answer; null where the record does not say."),
    Column("ttft_ms", _NUMBER, "From asking to the first token of the answer."),
    Column("input_tokens", _COUNT, "All prompt tokens, cached ones and cache creation included."),
    Column("cached_tokens", _COUNT, "Of those, read from the service's cache."),
    Column("cache_creation_tokens", _COUNT, "Of those, written to the service's cache."),
    Column("output_tokens", _COUNT, "All generated tokens, reasoning included."),
    Column("reasoning_tokens", _COUNT, "Of those, reasoning."),
    Column("repeated_tokens", _COUNT, "Prompt tokens that the request before of the same thread had: as counted, else "
                                      "its input and output, at most this input; null after a compaction."),
    Column("cost_usd", _NUMBER, "As recorded, else from the price table; null when neither knows."),
    Column("cost_input_usd", _NUMBER, "Prompt tokens neither read from a cache nor written to one, by the price table; "
                                      "null: no price."),
    Column("cost_cached_usd", _NUMBER, "Likewise, of prompt tokens read from the service's cache."),
    Column("cost_cache_creation_usd", _NUMBER, "Likewise, of prompt tokens written to the service's cache."),
    Column("cost_output_usd", _NUMBER, "Likewise, of generated tokens, reasoning included."),
    Column("cost_reasoning_usd", _NUMBER, "Of that, reasoning."),
    Column("tool_calls", _COUNT, "Tool calls that the answer holds, or steps that it led to."),
    Column("user_messages", _COUNT, "Messages of a person that are new in this request."),
    Column("input_chars", _COUNT, "Characters of the messages that are new in this request."),
    Column("output_chars", _COUNT, "Characters of the answer: text, reasoning and arguments of tool calls."),
    Column("finish_reason", _TEXT, "Why the model stopped, in the service's words."),
    Column("failed_attempts", _COUNT, "Tries of this request that failed before one was answered."),
    Column("gap_ms", _NUMBER, "From the end of the request before (same thread) to this one; null for the first."),
    Column("human_ms", _NUMBER, "Of that, waiting for a person; 0 when the answer before called a tool."),
    Column("first_step", _COUNT, "First step that the answer led to; null for an answer without a tool call."),
)  # fmt: skip

_SAMPLES = (
    *_WHO,
    Column("t", _TIME, "Moment of the sample."),
    Column("step", _COUNT, "Step during which it was taken; null between steps."),
    Column("cpu_pct", _NUMBER, "Share of one core used since the sample before, in percent: 200 is two whole cores."),
    Column("cpu_s", _NUMBER, "User and system time since the sample before."),
    Column("memory_bytes", _COUNT, "Memory in use."),
    Column("io_read_bytes", _COUNT, "Bytes read since the sample before."),
    Column("io_write_bytes", _COUNT, "Bytes written since the sample before."),
    Column("net_rx_bytes", _COUNT, "Bytes received since the sample before."),
    Column("net_tx_bytes", _COUNT, "Bytes sent since the sample before."),
    Column("pids", _COUNT, "Processes."),
    Column("power_w", _NUMBER, "Power that the GPUs drew at that moment, in watts."),
    Column("energy_j", _NUMBER, "Joules that the GPUs took since the sample before: the episode's share."),
)

COLUMNS: Mapping[str, Sequence[Column]] = {
    "episodes": _EPISODES,
    "steps": _STEPS,
    "requests": _REQUESTS,
    "samples": _SAMPLES,
}
"""The columns of each table, in order."""

TABLES = tuple(COLUMNS)


def arrow() -> Any:
    """The module pyarrow, its parquet part loaded. Raises MissingExtra."""
    try:
        import_module("pyarrow.parquet")
        return import_module("pyarrow")
    except ImportError:
        raise MissingExtra("tables need pyarrow: pip install 'agent-trajectory-hub[trace]'") from None


def schema(table: str) -> Any:
    """The `pyarrow.Schema` of a table. Raises MissingExtra."""
    pa = arrow()
    types = {
        _TEXT: pa.string(),
        _COUNT: pa.int64(),
        _NUMBER: pa.float64(),
        _FLAG: pa.bool_(),
        _TIME: pa.timestamp("us", tz="UTC"),
        _TEXTS: pa.list_(pa.string()),
    }
    return pa.schema([pa.field(column.name, types[column.type]) for column in COLUMNS[table]])
