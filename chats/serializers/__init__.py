"""Serializers for responses, one module for each resource.

``rows`` renders responses from plain rows, as the serializers declare them.
"""
