"""What holds for all tests."""

import os

from hypothesis import settings

# A busy machine is no reason to fail. CI repeats its examples, so that it says something about the change;
# everywhere else new ones are tried each time.
settings.register_profile("guiderail", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("guiderail")
