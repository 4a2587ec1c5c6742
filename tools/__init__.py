"""What an agent may do: one file a tool, one registry."""
