"""Channels: take an outgoing message, give back an outcome. They know no database."""
