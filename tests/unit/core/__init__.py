"""The core without a database, a clock or an event loop: what goes in, what comes out."""
