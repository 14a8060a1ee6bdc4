"""All that a workflow is given and gives leaves the process encrypted."""
