"""What a reader sees: results, curves, pages, timelines."""
