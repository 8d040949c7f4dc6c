"""What holds for all tests."""

import os

from hypothesis import settings

# A busy machine is no reason to fail. CI repeats its examples, so that it says something about the change;
# everywhere else new ones are tried each time.
settings.register_profile("guiderail", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("guiderail")


def pytest_configure() -> None:
    """Have Triton's kernels interpreted, as there may be no GPU. It asks when it is imported."""
    os.environ.setdefault("TRITON_INTERPRET", "1")
