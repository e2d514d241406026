"""Issues: sources → parsing → review → publish."""
