"""What the proxy knows of the APIs: their bodies, streams, usage and errors."""

from .answers import Answer, answer_of, read_answer
from .errors import error_body
from .requests import Asked, read_request

__all__ = ["Answer", "Asked", "answer_of", "error_body", "read_answer", "read_request"]
