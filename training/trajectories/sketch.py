"""A patch as numbers: enough to tell whether another patch changes the same lines, too little to read it.

The sketch of a set of hashes is its k least ones (Bar-Yossef et al. 2002, "Counting distinct elements in a data
stream"; Cohen and Kaplan 2007, "Summarizing data using bottom-k sketches"): a uniform sample of the set, and of any
other set the same sample. A set of at most k is there as a whole, and then similarity is exact; else its standard error
is below 1 / (2 sqrt(k)), three hundredths.
"""

from base64 import b64decode, b64encode

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from .similarity import changed_lines, shingles

__all__ = ["PATCH_WORDS", "PatchSketch", "sketch_of"]

PATCH_WORDS = 3
"""Words of a shingle of a patch."""
_LEAST = 256


class PatchSketch(BaseModel):
    """The least hashes of the word runs in the lines that a patch changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    shingles: int = Field(ge=0)
    """How many different runs of three words there are."""
    least: str
    """The least of their 64-bit hashes (BLAKE2b), at most 256, ascending, big-endian, in Base64."""

    def hashes(self) -> list[int]:
        """The hashes, ascending."""
        return [int(value) for value in np.frombuffer(b64decode(self.least), dtype=">u8")]

    @property
    def whole(self) -> bool:
        """Whether no hash was left out."""
        return self.shingles <= _LEAST


def sketch_of(patch: str) -> PatchSketch:
    """The sketch of a unified diff."""
    found = sorted(shingles(changed_lines(patch), PATCH_WORDS))
    least = np.array(found[:_LEAST], dtype=">u8").tobytes()
    return PatchSketch(shingles=len(found), least=b64encode(least).decode())
