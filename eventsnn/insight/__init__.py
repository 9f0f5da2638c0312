"""What an accelerator did with a sample, read from its service log: who was busy, who waited, what for."""
