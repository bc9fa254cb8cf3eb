"""What is kept of calls: journals, and later records, recordings and shared state."""
