"""Requests that no honest caller would send."""
