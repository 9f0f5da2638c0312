"""The shipped architecture files."""
