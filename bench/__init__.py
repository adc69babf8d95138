"""Running: cases, worker processes, windows, environment, command line."""
