"""The task factory: real tasks from published packages, by injected bugs and by releases."""
