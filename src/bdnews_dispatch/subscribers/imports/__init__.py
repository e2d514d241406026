"""Importing subscribers from a file of a spreadsheet.

    file ──files, sheets──→ rows ──receiving──→ chunks in the database ──rows──→ entries ──deciding──→ changes
                                                        │                                        │
                                        running: a slice, its counts and the place in the file   │
                                        in one transaction                                       └─→ result: refused

One direction, in slices, so memory is flat and a run that was killed goes on where it was. See docs/decisions/0012.
"""
