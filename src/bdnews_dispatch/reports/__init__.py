"""What came of it all, in numbers: by dispatch, section, article, channel, domain, list, and over time."""
