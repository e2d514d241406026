"""Domain events and their outbox; the work queue."""
