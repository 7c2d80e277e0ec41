"""What measures, and writes its table; each teaches itself with `--help`."""
