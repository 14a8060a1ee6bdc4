"""Another module that is imported late, by an interceptor."""
