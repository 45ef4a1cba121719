"""The same job done by other stream processors, each in an environment of its own; started by `benchmarks.peer`."""
