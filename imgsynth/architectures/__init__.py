"""What a state dict is: one file per network, found from keys and shapes alone."""
