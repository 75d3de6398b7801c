"""From a data set to a trained predictor: windows, networks, training, prediction."""
