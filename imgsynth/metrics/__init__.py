"""How good a checkpoint is: figures on pictures that it never saw, each beside what real pictures get."""
