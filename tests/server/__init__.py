"""The shell: fairness, turns, connections, streams, faults and the WSGI bridge."""
