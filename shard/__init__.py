"""One model: tokenizer, scheduler, paged cache, forward pass, sampling, token masks."""

import os

if "OMP_WAIT_POLICY" not in os.environ:
    # Set before torch is imported, which reads it. By default its threads spin for milliseconds at the end of
    # every operation; where others want those cores, as a router on the same machine does, a step then takes
    # up to ten times as long. This is a tenth of a millisecond, enough for operations that follow at once.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
