"""JSON Schema: from a document to an automaton of exactly the values it allows."""
