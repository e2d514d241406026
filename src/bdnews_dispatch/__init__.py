"""Event-driven distribution and subscription of bulletins: issue → dispatch → digest → delivery → what came back."""

from importlib.metadata import version

__version__ = version("bdnews-dispatch")
