"""Steps over many models' states as they are written, without decoding one: for fleets of which each sends little."""
