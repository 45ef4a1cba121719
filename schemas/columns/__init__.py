"""Many `metrics` messages at once as columns of numbers, by kernels: what fleets send nearly always."""
