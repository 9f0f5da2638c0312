"""The SimPy twin: an independent opinion on what happens on an accelerator, in both schedules."""
