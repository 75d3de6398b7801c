"""From entries of a data set to windows of tensors."""
