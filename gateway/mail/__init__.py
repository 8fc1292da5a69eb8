"""Outgoing mail: a row of the table `mail`, written with the change that causes it, sent when it can be.

Without a mail server in the settings the messages stay in the table, where `gateway mail` lists them.
"""
