"""Servers for programs on this machine: HTTP held to limits, a journal that is durable before anybody is answered."""

from .connection import Reply
from .http import HttpServer
from .journal import Journal
from .messages import Head, Limits, Refusal, Request
from .packing import NotPacked, TooLarge, gunzip
from .sockets import address_of, bearer, listen_on_loopback, same_secret
from .thread import LoopThread

__all__ = [
    "Head",
    "HttpServer",
    "Journal",
    "Limits",
    "LoopThread",
    "NotPacked",
    "Refusal",
    "Reply",
    "Request",
    "TooLarge",
    "address_of",
    "bearer",
    "gunzip",
    "listen_on_loopback",
    "same_secret",
]
