"""The client matrix: every client through every dialect that it knows, one run for each cell."""
