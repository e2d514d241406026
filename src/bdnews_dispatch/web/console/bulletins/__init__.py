"""The room of bulletins: writing.py writes them, deciding.py has a second person look, and sends."""
