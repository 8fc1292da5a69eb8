"""Trusted documents: what client applications send, known before they send it.

Takes a folder of manifests, and what a request names or brings. Gives a document's text, or why it is not
taken. Rejects, with `StartError` naming file and entry, a manifest that is malformed or does not fit
the schema.
"""
