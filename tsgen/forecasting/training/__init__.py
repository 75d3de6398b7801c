"""One training loop for all families, its checkpoints and its options."""
