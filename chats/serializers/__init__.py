"""What answers look like, one module a resource.

Answers are made from rows by ``rows``; the serializers describe them to the schema.
"""
