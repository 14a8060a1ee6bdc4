"""The core, without a database, a clock or an event loop."""
