"""Dispatch: planning → the ledger of deliveries → worker → retry and recovery."""
