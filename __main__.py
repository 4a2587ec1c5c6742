"""`python -m trajectory_hub` is `trajhub`."""

from trajectory_hub.cli import main

main()
