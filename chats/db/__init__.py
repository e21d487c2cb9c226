"""What needs only the database: prepared statements, identifiers, engines."""
