"""The vocabulary every layer shares: protobuf names, effects, ids, failures.

Pure data and pure functions only, so that the core can be replayed and tested
without a database, a clock or an event loop.
"""
