"""The vocabulary that all layers share."""
