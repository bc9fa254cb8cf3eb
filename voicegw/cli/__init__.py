"""The command line: one module per command, all work is done in the rooms below."""
