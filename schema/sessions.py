"""Signing in and out, and what a customer does to their password and address of signing in."""

from __future__ import annotations

from typing import Any

from .writing import Declared, Writes, given, input_of

# A change that is not made answers with null beside its `userErrors`.
_MAYBE: Any = bool | None
ACCESS = (str, "A signed token for `Authorization: Bearer`, good for some minutes.")
REFRESH = (str, "Takes the next pair of tokens, once; whoever uses it twice ends the session.")


@input_of("Customer", Writes.UPDATE, description="Who signs in.")
class SignInInput:
    email: str = given("The confirmed e-mail address.")
    password: str = given("The password.")


@input_of("Customer", Writes.UPDATE, description="Which session goes on.")
class RefreshSessionInput:
    refresh_token: str = given("The session's newest refresh token.")


@input_of("Customer", Writes.UPDATE, description="What to sign out of.")
class SignOutInput:
    everywhere: bool | None = given(
        "Whether to end every session of the customer, or of the order whose token is used; left out means"
        " this one."
    )


@input_of("Customer", Writes.UPDATE, description="Proof of an e-mail address.")
class ConfirmEmailInput:
    token: str = given("What stands behind the `#` of the link in the mail.")


@input_of("Customer", Writes.UPDATE, description="Whose password to set anew.")
class RequestPasswordResetInput:
    email: str = given("The confirmed e-mail address.")


@input_of("Customer", Writes.UPDATE, description="A new password, by a link in a mail.")
class ResetPasswordInput:
    token: str = given("What stands behind the `#` of the link in the mail.")
    password: str = given("The new password: at least 8 characters.")


@input_of("Customer", Writes.UPDATE, description="A new password, by the one before.")
class ChangePasswordInput:
    current_password: str = given("The password so far.")
    new_password: str = given("The new password: at least 8 characters.")


MUTATIONS = {
    "sign_in": Declared(
        SignInInput,
        "Begins a session. Whatever is wrong, the answer is the same.",
        extras={"access_token": ACCESS, "refresh_token": REFRESH},
        alone=True,
    ),
    "refresh_session": Declared(
        RefreshSessionInput,
        "The next tokens of a session. A refresh token that comes a second time ends the session.",
        extras={"access_token": ACCESS, "refresh_token": REFRESH},
        alone=True,
    ),
    "sign_out": Declared(
        SignOutInput,
        "Ends the caller's session; its tokens are refused from the next request on.",
        extras={"ended": (int, "How many sessions were ended.")},
        alone=True,
    ),
    "confirm_email": Declared(
        ConfirmEmailInput,
        "Confirms the address a mail was sent to: from then on the customer signs in with it.",
        extras={"confirmed": (_MAYBE, "Whether the address is confirmed.")},
        alone=True,
    ),
    "request_password_reset": Declared(
        RequestPasswordResetInput,
        "Mails a link to set a new password; the same is answered whether the address is known or not.",
        extras={"accepted": (bool, "Whether the request was taken.")},
        alone=True,
    ),
    "reset_password": Declared(
        ResetPasswordInput,
        "Sets a new password by the link in a mail, and ends every session.",
        extras={"changed": (_MAYBE, "Whether the password is changed.")},
        alone=True,
    ),
    "change_password": Declared(
        ChangePasswordInput,
        "Sets a new password, and ends every other session.",
        extras={"changed": (_MAYBE, "Whether the password is changed.")},
        alone=True,
    ),
}
