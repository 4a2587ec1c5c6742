"""Episodes in several places: hosts that do them, and the crew that spreads them over hosts."""
