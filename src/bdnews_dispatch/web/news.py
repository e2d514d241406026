"""Hints for pages that show something live: look again now. Told by NOTIFY (service/); waited for by progress.py."""

import asyncio
from contextlib import suppress


class News:
    """Hints that something has happened; who waits looks at once. A hint that is missed costs a second."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self, name: str = "") -> None:
        """Args: name: of the event; empty: anything."""
        if not name or name.startswith("dispatch."):
            self._event.set()
            self._event = asyncio.Event()

    async def wait(self, seconds: float) -> bool:
        """Until the next hint, `seconds` at most. Returns: whether there was one."""
        event = self._event
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        return event.is_set()
