"""The same site as the pages' tests."""

from tests.integration.web.conftest import sent, site

__all__ = ["sent", "site"]
