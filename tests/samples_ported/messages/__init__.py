"""Workflows that are talked to while they run."""
