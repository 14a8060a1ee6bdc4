"""One state machine per file; each opens with its table and knows no sibling."""
