"""The rules of rows, of text and of ids, and connections through a pooler."""
