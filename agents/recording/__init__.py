"""Recordings: what was on some topics, in the order in which it was processed, as lines of JSON in a file."""
