"""bdnews …: thin. A command reads its arguments, calls one room of the service, and prints what came of it."""

from bdnews_dispatch.cli.entry import main

__all__ = ["main"]
