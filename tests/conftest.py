"""Of all tests."""

import gc


def pytest_collection_finish() -> None:
    """What is imported and collected stays: the garbage collector took a sixth of the time to see that it does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
