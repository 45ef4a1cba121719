"""The `visutility` command: one file a command, each a thin shell round the part that does the work."""
