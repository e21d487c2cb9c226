"""Every call that the schema describes, with good and bad input, as four callers.

The same few calls each time; ``bench/proofs/fuzz.py`` makes many thousands.
"""

import pytest
from django.db import connections

from bench.proofs.fuzz import CALLERS, fuzz
from messaging_app.wsgi import application

OPERATIONS = 43 - 1  # the endless stream is left out

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("caller", CALLERS)
def test_answers_are_those_of_the_schema(caller):
    findings = fuzz(application, caller, examples=2, seed=1, phases=("fuzzing",))
    connections.close_all()
    assert findings.faults == {}
    assert len({label for label, _ in findings.answers}) == OPERATIONS


def test_answers_at_the_edges_of_every_value_are_those_of_the_schema():
    findings = fuzz(application, "guest", examples=1, seed=1, phases=("coverage",))
    connections.close_all()
    assert findings.faults == {}
    assert findings.calls.total() > 1000
