"""Every change of several rows, and every change that must be announced.

Each function is one transaction: all of it happens, with its events, or nothing.
Locks are always taken in this order, so services never deadlock: users (by id),
conversations (by id), other rows, and the event log last.
"""
