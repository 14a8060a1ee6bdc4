"""A module that workflows import while they run, and not before."""
