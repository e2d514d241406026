"""Returns: mail that comes back. Bounces, complaints, replies of machines, one-click mails."""
