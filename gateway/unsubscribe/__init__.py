"""The link in each newsletter that ends it: what it shows, and what its button does (RFC 8058)."""

from .endpoint import unsubscribe
from .pages import make_pages

__all__ = ["make_pages", "unsubscribe"]
