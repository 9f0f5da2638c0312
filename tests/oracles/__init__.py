"""Right answers, written slowly and on their own."""
