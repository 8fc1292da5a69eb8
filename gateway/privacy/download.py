"""`/export/{token}`: the copy of somebody's data behind its signed link, read from the table piece by piece.

A link that is forged, has expired, or whose copy or person is gone is a path that leads nowhere. Every
attempt counts as one at a secret does, and is taken back where the link is good.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..access_log import REQUEST_ID, TOLD
from ..answer import Gateway
from ..client_address import client_address
from ..failures import failure
from .copy import NoMore, Piece, next_piece
from .links import Forged

# What a worker holds of a copy at a time, and one piece more, besides what its connection has not taken yet.
PIECE_BYTES = 256 * 1024
_SIZE = "(SELECT sum(octet_length(p.piece))::bigint FROM export_piece p WHERE p.document_id = d.id) AS size"
_LOOK = f"""
SELECT {_SIZE} FROM export_document d
JOIN customer c ON c.id = d.customer_id JOIN subject_request r ON r.id = d.request_id
WHERE d.id = $1 AND d.expires_at > $2 AND c.erased_at IS NULL AND r.status = 'COMPLETED'"""  # noqa: S608  # a constant
_FETCH = f"""
UPDATE export_document d SET last_fetched_at = $2 FROM customer c, subject_request r
WHERE d.id = $1 AND d.expires_at > $2 AND c.id = d.customer_id AND c.erased_at IS NULL
  AND r.id = d.request_id AND r.status = 'COMPLETED'
RETURNING {_SIZE}"""  # noqa: S608  # a constant
_HEADERS = {"content-disposition": 'attachment; filename="personal-data.json"', "x-robots-tag": "noindex"}
JSON = "application/json"


async def download(gateway: Gateway, request: HttpRequest) -> Response:
    """The copy, or with HEAD what it would come as; raises `HTTPException` (404), `TooMany`."""
    now, throttle = gateway.clock(), gateway.tools.throttle
    address = client_address(request.scope, gateway.settings.trusted_proxies)
    counted = await throttle.count("export", client=address, now=now)
    key = gateway.tools.office.links.verify(request.path_params["token"])
    size = None if isinstance(key, Forged) else await _size(gateway, key, now, request.method)
    if isinstance(key, Forged) or size is None:
        raise HTTPException(404)
    await throttle.give_back(counted)
    return Document(gateway, key, size)


async def _size(gateway: Gateway, key: uuid.UUID, now: datetime, method: str) -> int | None:
    """How large a copy is, noted as fetched unless it is only asked about; None where it is none any more."""
    is_fetched = method != "HEAD"
    row = await gateway.database.fetch(None, _FETCH if is_fetched else _LOOK, (key, now), writes=is_fetched)
    return None if row is None else int(row["size"])


class Document(Response):
    """The response that carries a copy; one that ends meanwhile, by an erasure, is cut off."""

    def __init__(self, gateway: Gateway, key: uuid.UUID, size: int) -> None:
        super().__init__(None, 200, {**_HEADERS, "content-length": str(size)}, JSON)
        self._gateway = gateway
        self._key = key
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends each piece when it is read; whoever takes none for a while is cut off by the server."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        gone = asyncio.create_task(_gone(receive))
        try:
            await self._send(send, gone)
        except Exception as error:  # the edge: returning has the server cut the answer off, without a text
            failure(error, scope[REQUEST_ID], scope[TOLD])
        finally:
            gone.cancel()

    async def _send(self, send: Send, gone: asyncio.Task[None]) -> None:
        async def fetch(sql: str, values: Sequence[object]) -> Any:
            return await self._gateway.database.fetch(None, sql, values)

        sent, after = 0, -1
        while sent < self._size and not gone.done():
            # No statement or transaction stays open while the client takes its time.
            match await next_piece(fetch, self._key, after, PIECE_BYTES):
                case NoMore():
                    return
                case Piece(found, after):
                    sent += len(found)
            await send({"type": "http.response.body", "body": found, "more_body": sent < self._size})


async def _gone(receive: Receive) -> None:
    """Returns when nobody waits for the rest."""
    while (await receive())["type"] != "http.disconnect":
        pass
