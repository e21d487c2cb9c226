"""Code that depends on the database only: prepared statements, identifiers, engines."""
