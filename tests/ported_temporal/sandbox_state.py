"""A module with state, which each sandboxed run gets a fresh copy of."""

entries: list[str] = ["orig"]
