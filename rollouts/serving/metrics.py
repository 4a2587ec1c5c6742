"""What a vLLM server counts, from its Prometheus page."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

import httpx

__all__ = ["COUNTED", "counters_in", "page_of", "scrape", "total"]

COUNTED = (
    "prefix_cache_queries",
    "prefix_cache_hits",
    "prompt_tokens",
    "generation_tokens",
    "num_preemptions",
    "request_success",
)
"""Counters of interest, by vLLM's name without `vllm:` and `_total`."""
_SAMPLE = re.compile(r"^vllm:(\w+?)(?:_total)?(?:\{[^}]*\})?\s+(\S+)", re.MULTILINE)


def counters_in(page: str) -> dict[str, float]:
    """The counters of interest on a Prometheus page, summed over their labels."""
    found = defaultdict[str, float](float)
    for name, value in _SAMPLE.findall(page):
        if name in COUNTED:
            found[name] += float(value)
    return dict(found)


def page_of(counters: Mapping[str, float]) -> str:
    """The same as a Prometheus page."""
    lines = (f"# TYPE vllm:{name} counter\nvllm:{name}_total {value}\n" for name, value in counters.items())
    return "".join(lines)


def total(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The sum of several servers' counters."""
    found = defaultdict[str, float](float)
    for part in parts:
        for name, value in part.items():
            found[name] += value
    return dict(found)


def scrape(root: str, timeout: float = 5.0) -> dict[str, float]:
    """The counters of the server at `http://HOST:PORT`; none when it does not answer or counts nothing of the kind."""
    try:
        answer = httpx.get(f"{root}/metrics", timeout=timeout)
    except httpx.HTTPError:
        return {}
    return counters_in(answer.text) if answer.status_code == 200 else {}
