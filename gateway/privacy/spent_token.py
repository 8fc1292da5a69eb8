"""What is left of the newsletter's token of whoever is gone: its digest, by which the link still answers.

Of 256 random bits a digest tells nothing; only whoever has a letter finds the empty row by it.
"""

from __future__ import annotations

from hashlib import sha256

PREFIX = "erased-"
# The same in SQL, of a row of `customer` that still has its token.
SPENT = f"'{PREFIX}' || encode(sha256(convert_to({{row}}.unsubscribe_token, 'UTF8')), 'hex')"


def spent(token: str) -> str:
    """What stands in the place of a token once its customer is erased."""
    return PREFIX + sha256(token.encode()).hexdigest()
