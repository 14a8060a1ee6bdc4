"""What it costs to have very many runs open that only wait: `python -m bench.mass`."""
