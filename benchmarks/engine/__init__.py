"""How fast tokens come, beside `model.generate` and another server."""
