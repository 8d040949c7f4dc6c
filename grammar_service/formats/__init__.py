"""The languages of JSON Schema's `format`."""
