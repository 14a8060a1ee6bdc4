"""The test suites of dbosify; a package so that plugins and scaffolds import."""
