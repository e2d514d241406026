"""Letters: mails to one person about their own affairs; confirm, change, copy, erase."""
