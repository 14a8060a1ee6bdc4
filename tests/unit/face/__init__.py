"""The public face: what user code, libraries and DBOS's own tools meet."""
