"""Linear operations without their biases: on values, scaled, cut to channels, one after the other."""
