"""Automata: DFAs over characters, programs over bytes, and how one becomes the other."""
