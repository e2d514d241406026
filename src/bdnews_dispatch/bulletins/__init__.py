"""Bulletins: what an editor sends out of cycle."""
