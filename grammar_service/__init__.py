"""Grammar in, automaton out: compiled once, whoever asks."""
