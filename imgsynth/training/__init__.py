"""How the bundled checkpoints are made: four recipes and the loop that runs them."""
