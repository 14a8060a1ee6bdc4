"""Temporal's server, one function per RPC, each a few SQL statements.

A request comes in as the protobuf message that the official client would have sent over
gRPC; the answer, or Temporal's own error, goes back the same way.
"""
