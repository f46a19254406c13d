"""What seeds decide, apart from both requests and families, so that neither imports the other for it."""

from typing import Literal

LARGEST_SEED = 2**32 - 1

# Noise maps of each seed's own, the same ones for every picture, or zeros.
NoiseKind = Literal["random", "constant", "none"]
