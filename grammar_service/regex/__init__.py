"""Regular expressions: from what callers write to automata over characters."""
