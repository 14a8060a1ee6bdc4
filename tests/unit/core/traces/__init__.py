"""What Temporal's core was seen to do, as tables, and what plays them to ours."""
