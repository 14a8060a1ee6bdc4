"""Programs that people write with Temporal, each for one thing that they want to see.

Each stands for one of Temporal's samples, with the assertion that the sample makes; see
`manifest.toml`. They only know an address (`TEMPORAL_ADDRESS`), so that the same
program runs on dbosify and on Temporal's server.
"""
