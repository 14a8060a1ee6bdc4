"""A workflow that runs what somebody wrote down in a language of their own."""
