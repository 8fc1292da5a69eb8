"""Changes of carriers."""

from __future__ import annotations

from schema import formats
from schema.writing import UserErrorCode

from ..database import DatabaseDuplicate
from .checks import Rule, checked, text
from .mistakes import Mistake, Mistakes, Rejected
from .work import Outcome, Work

CARRIER = {
    "name": text("name", 100, required=True),
    "contactEmail": Rule("contact_email", lambda value, _: formats.email(value), required=True),
}
NAME_IS_UNIQUE = "carrier_name_key"


async def update_carrier(work: Work) -> Outcome:
    """Changes a carrier; a name is used once. While it is not active, its tokens count as revoked."""
    key = work.key("id", "Carrier")
    mistakes = Mistakes()
    values = checked(work.input, CARRIER, "Carrier", "", mistakes)
    if "active" in work.input:
        if work.input["active"] is None:
            mistakes.add(UserErrorCode.REQUIRED, "Carrier.active", "a value is needed", "active")
        values["active"] = work.input["active"]
    mistakes.check()
    try:
        await work.change("Carrier", key, values)
    except DatabaseDuplicate as duplicate:
        if duplicate.constraint != NAME_IS_UNIQUE:
            raise
        # Whoever may change a name reads the names of all carriers: this tells them nothing new.
        message = "another carrier has the name"
        mistake = Mistake(UserErrorCode.CONFLICT, "Carrier.name", message, ("name",))
        raise Rejected(mistake, shown={"carrier": key}) from duplicate
    return Outcome({"carrier": key}, changed_principals=(("carrier", key),))
