"""Upstream names that stand beside a class of ours; generated."""
