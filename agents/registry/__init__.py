"""Where model versions and their artifacts are kept."""
