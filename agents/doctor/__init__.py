"""Looks for the mistakes that are made most often, and says how to mend each. Facts are gathered, then judged."""
