"""The range of seeds, apart from both requests and families, so that neither imports the other for it."""

LARGEST_SEED = 2**32 - 1
