"""`/u/{token}`: the link of a newsletter, as a mail program and as a person use it (RFC 8058).

`GET` shows a page with a button and changes nothing, as programs follow links to look at them; `POST` with
`List-Unsubscribe=One-Click` withdraws the consent. Neither needs a cookie or a login: the token says whose it
is. A token that is nobody's is a path that leads nowhere.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from ..answer import Gateway
from ..attended import Attended, Receive
from ..errors import Code, HttpError
from .pages import FIELD, VALUE, Pages
from .withdrawal import Nobody, subscriber, withdraw

# RFC 8058, section 3.2, has mail programs send either.
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
# The pair takes 26 bytes, and its part of a multipart body some hundreds.
BODY_LIMIT_BYTES, FIELD_LIMIT = 4096, 10


async def unsubscribe(gateway: Gateway, pages: Pages, request: HttpRequest, attended: Attended) -> Response:
    """The page that the link shows, or that says it is done; 404 for a token that is nobody's.

    Raises `HttpError` where what was posted is not the one thing that can be.
    """
    is_asked = request.method == "POST"
    if not is_asked:
        attended.has_come()
    found = await subscriber(gateway.database, request.path_params["token"])
    if isinstance(found, Nobody):
        raise HTTPException(404)
    if is_asked:
        await _check_is_one_click(request)
        attended.has_come()
        await withdraw(gateway.database, found, gateway.tools.notice, gateway.clock())
    return Response(pages.done if is_asked else pages.asking, 200, pages.headers, "text/html")


async def _check_is_one_click(request: HttpRequest) -> None:
    headers = request.headers
    if headers.get("content-type", "").partition(";")[0].strip().lower() not in FORMS:
        raise HttpError(Code.BAD_REQUEST, f"`Content-Type` is {FORMS[0]} or {FORMS[1]}", 415)
    if "content-encoding" in headers:
        raise HttpError(Code.BAD_REQUEST, "the body is sent as it is", 415)
    bounded = HttpRequest(request.scope, _bounded(request.receive))
    try:
        async with bounded.form(max_files=0, max_fields=FIELD_LIMIT, max_part_size=BODY_LIMIT_BYTES) as form:
            values = form.getlist(FIELD)
    except HTTPException as error:
        raise HttpError(Code.BAD_REQUEST, "the body is no form") from error
    if values != [VALUE]:
        raise HttpError(Code.BAD_REQUEST, f"the form has `{FIELD}` with the value `{VALUE}`")


def _bounded(receive: Receive) -> Receive:
    """The messages of a body, as long as it is no larger than may be."""
    size = 0

    async def received() -> dict[str, object]:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > BODY_LIMIT_BYTES:
            raise HttpError(Code.BAD_REQUEST, f"the body is over {BODY_LIMIT_BYTES} bytes", 413)
        return dict(message)

    return received
