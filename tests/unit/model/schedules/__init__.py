"""Tests of the calculation of schedules."""
