"""The console: pages for those who run the publication, behind a sign-in.

guests.py says who is there; door.py lets in and out; desk.py makes a page and takes a form; every other file is a room:
it reads, or does one thing by the same function as the command line, writes it into the audit log, and leads back.
"""
