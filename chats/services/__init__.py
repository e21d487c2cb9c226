"""Every write that touches several rows or must be announced.

Each function is one transaction: all of it happens, with its events, or nothing.
Locks are always taken in this order, so no two services deadlock: people (by id),
conversations (by id), other rows, and the event log last.
"""
