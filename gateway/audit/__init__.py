"""The seals over what is recorded: chains of SHA-256 in which a changed, missing or added row is found.

`lines` says what is hashed; `sealer` adds seals while the gateway serves; `verify`, `export`, `anchors` and
`drop` are the commands `gateway audit …`.
"""
