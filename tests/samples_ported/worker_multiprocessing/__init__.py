"""Several worker processes share the work of two queues."""
