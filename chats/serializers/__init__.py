"""What the API reads and writes, one module a resource.

Answers come from ``chats.rows``; the declared fields validate input and describe
the answers to the schema.
"""
