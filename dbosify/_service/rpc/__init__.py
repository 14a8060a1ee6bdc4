"""One file per capability; each function is an RPC, named as the RPC in snake case."""
