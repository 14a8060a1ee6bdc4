"""Three ways to wait for a service that is not ready yet."""
