"""Running a network over samples, in one process or many, and going on where a run stopped."""
