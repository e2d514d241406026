"""APScheduler: what runs when; catch-up of what was missed."""
