"""Rules about the repository itself, as tests: what a reviewer need not look for."""
