"""The demonstration: fleets of classifiers of handwritten digits, on real images, that drift and recover."""
