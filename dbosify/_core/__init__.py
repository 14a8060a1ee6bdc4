"""What Temporal's Rust core does between server and SDK, as pure functions of events.

Journal events go in and become activations for the SDK; the SDK's commands come back
and become new events and effects. No I/O, no clock, no randomness: given the same
events and completions, the same activations and turns come out, for ever.
"""
