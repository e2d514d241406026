"""Dispatches: whom one would reach, starting it, watching it, steering it, deciding what nobody can know."""
