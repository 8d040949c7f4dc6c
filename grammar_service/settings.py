"""What can be set in the grammar service, from environment variables named GRAMMAR_*."""

from __future__ import annotations

import os
from dataclasses import fields

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

from grammar_service.limits import Limits


class Settings(BaseSettings):
    """The settings of one grammar service.

    An answer comes within `replica_seconds` + `queue_seconds` + `quick_seconds` + `compile_seconds` (9.25 s)
    and a fraction of a second.
    """

    model_config = SettingsConfigDict(env_prefix="GRAMMAR_", frozen=True, use_attribute_docstrings=True)

    address: str = "127.0.0.1:50052"
    """Where to serve gRPC, host:port."""
    redis_url: str | None = None
    """redis://, rediss:// or unix:// URL of the cache that replicas share. Unset: no such cache."""
    redis_expiry_seconds: PositiveInt = 7 * 24 * 3600
    """How long Redis keeps an automaton."""
    cache_entries: PositiveInt = 4096
    """The most grammars kept in the memory of the process."""
    cache_megabytes: PositiveInt = 256
    """The most megabytes of automata kept in the memory of the process."""
    refusal_seconds: PositiveFloat = 60.0
    """How long a grammar that exceeded time or memory is refused without another try."""
    workers: PositiveInt = Field(default_factory=lambda: max(2, os.cpu_count() or 1))
    """Processes that compile grammars. Half as many are added for those that take long."""
    compile_seconds: PositiveFloat = 6.0
    """The longest that compiling one grammar may take."""
    quick_seconds: PositiveFloat = 0.25
    """How long a grammar is compiled among the ordinary ones, before it starts over among the slow ones."""
    queue_seconds: PositiveFloat = 2.0
    """The longest that a grammar waits for a process."""
    queue_length: PositiveInt = 256
    """The most grammars that wait for a process."""
    replica_seconds: PositiveFloat = 1.0
    """The longest to wait for another replica that is compiling the same grammar."""
    compile_memory_mb: PositiveInt = 1024
    """The most memory that compiling one grammar may take, in megabytes. Enforced on Linux."""
    max_states: PositiveInt = Limits.max_states
    """The most states of an automaton."""
    max_depth: PositiveInt = Limits.max_depth
    """How deep the JSON of a recursive grammar may nest."""
    max_alternatives: PositiveInt = Limits.max_alternatives
    """The most sets of values that `anyOf`, `oneOf`, `not` and `if` in one place of a schema may come to."""
    max_combinations: PositiveInt = Limits.max_combinations
    """The most of such sets that may be put together while a schema is read."""
    max_unique_values: PositiveInt = Limits.max_unique_values
    """The most values that the items of an array with `uniqueItems` may have."""
    max_schema_depth: PositiveInt = Limits.max_schema_depth
    """How deep a schema document may nest."""
    max_source_bytes: PositiveInt = 1_000_000
    """The longest schema, regular expression or list of choices, in bytes of UTF-8."""
    drain_seconds: PositiveFloat = 10.0
    """How long running calls get to finish when the service is asked to stop."""

    def limits(self) -> Limits:
        """What a compiled grammar may come to."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})
