"""The router's HTTP surface: one module of routes and one of models for each dialect."""
