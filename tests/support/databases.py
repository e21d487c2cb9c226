"""Marks of tests, by the database that they need."""

import pytest
from django.db import connection

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a matter of PostgreSQL"
)
# Not within a transaction of the test, whose tables are emptied after it.
committed = pytest.mark.django_db(transaction=True)
