"""OpenTelemetry: spans, log records and metrics by the semantic conventions for generative AI.

As files (a folder of one file a signal: OTLP/JSON lines, or protobuf messages each after its length in four bytes, big
end first, as the Collector reads them), or sent to a receiver. An episode is one trace and one message a signal.
"""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...errors import UsageError
from .base import Exporter, RecordedEpisode, Sink, Target
from .otlp_parts import SIGNALS
from .otlp_proto import encode, send
from .otlp_signals import signals_of
from .output import Output
from .parts import line

__all__ = ["EXPORTER", "OtlpExporter", "OtlpOptions"]

LOSES: Mapping[str, str] = {
    "event.schema_version": "attributes have no version of ours",
    "llm_request.token_ids": "receivers cut or refuse attributes of that size",
    "llm_response.prompt_token_ids": "receivers cut or refuse attributes of that size",
    "llm_response.completion_token_ids": "receivers cut or refuse attributes of that size",
    "llm_response.logprobs": "receivers cut or refuse attributes of that size",
}


class OtlpOptions(BaseModel):
    """Settings of the export."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    encoding: Literal["json", "protobuf"] = "json"
    """Of the files; a receiver is always sent protobuf."""
    content: bool = True
    """Whether texts are told (of prompts, answers, tools, tasks, patches, and what quotes them), not only figures."""
    endpoint: str | None = None
    """Address of a receiver that is sent everything as well, for example `http://127.0.0.1:4318`."""
    headers: dict[str, str] = Field(default_factory=dict[str, str])
    """What the receiver is sent as HTTP headers."""


class OtlpExporter:
    """See `base.Exporter`."""

    name = "otlp"
    title = "OTLP spans, logs and metrics (GenAI conventions)"
    output = "folder of traces, logs and metrics: .jsonl or .binpb"
    options: type[BaseModel] = OtlpOptions
    loses: Mapping[str, str] = LOSES
    unread: Mapping[str, str] = {}

    def open(self, target: Target) -> Sink:
        """See `base.Exporter`."""
        return _Sink(target)


class _Sink:
    def __init__(self, target: Target) -> None:
        assert isinstance(target.options, OtlpOptions)
        if target.path.is_file():
            raise UsageError(f"{target.path} is a file; name a folder")
        self._options = target.options
        ending = ".jsonl" if self._options.encoding == "json" else ".binpb"
        self._files = {signal: Output(target.path / f"{signal}{ending}") for signal in SIGNALS}

    def write(self, episode: RecordedEpisode) -> None:
        options = self._options
        for signal, body in signals_of(episode, content=options.content).items():
            if options.encoding == "json":
                self._files[signal].write(line(body))
            if options.encoding == "json" and options.endpoint is None:
                continue
            data = encode(signal, body)
            if options.encoding == "protobuf":
                self._files[signal].write(struct.pack(">I", len(data)) + data)
            if options.endpoint is not None:
                send(options.endpoint, options.headers, signal, data)

    def close(self) -> list[Path]:
        return [path for file in self._files.values() for path in file.close()]

    def abandon(self) -> None:
        for file in self._files.values():
            file.abandon()


EXPORTER: Exporter = OtlpExporter()
