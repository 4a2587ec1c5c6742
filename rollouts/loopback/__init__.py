"""Servers for programs on this machine: HTTP held to limits, a journal that is durable before anybody is answered."""

from .connection import Reply
from .http import HttpServer
from .journal import Journal
from .messages import Head, Limits, Refusal, Request
from .sockets import address_of, bearer, listen_on_loopback, same_secret
from .thread import LoopThread

__all__ = [
    "Head",
    "HttpServer",
    "Journal",
    "Limits",
    "LoopThread",
    "Refusal",
    "Reply",
    "Request",
    "address_of",
    "bearer",
    "listen_on_loopback",
    "same_secret",
]
