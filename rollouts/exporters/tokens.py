"""Whole prompts of token ids, of which the log holds only what each request adds."""

from ..events import LlmRequestEvent, LlmResponseEvent

__all__ = ["Prompts"]


class Prompts:
    """Follows one conversation."""

    def __init__(self) -> None:
        self._before: list[int] | None = []

    def take(self, request: LlmRequestEvent | None, response: LlmResponseEvent | None) -> list[int] | None:
        """The tokens of a request's prompt; None where they are not recorded."""
        prompt = self._prompt(request, response)
        answer = response.payload.completion_token_ids if response is not None else None
        if request is not None or response is not None:
            self._before = None if prompt is None else [*prompt, *(answer or ())]
        return prompt

    def _prompt(self, request: LlmRequestEvent | None, response: LlmResponseEvent | None) -> list[int] | None:
        if response is not None and response.payload.prompt_token_ids is not None:
            return list(response.payload.prompt_token_ids)
        if request is None or request.payload.token_ids is None:
            return None
        kept = request.payload.kept_tokens
        if kept and (self._before is None or len(self._before) < kept):
            return None
        return [*(self._before or ())[:kept], *request.payload.token_ids]
