"""Laws given by an explicit density."""
