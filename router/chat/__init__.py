"""Conversations: how a model reads and writes them."""
