"""Asking an OpenAI-compatible service: its settings, a client with retries, and what its answers cost."""
