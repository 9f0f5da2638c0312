"""Where a network lies on an accelerator: parts on cores, under their limits."""
