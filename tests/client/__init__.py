"""The web client, and clients that others write or generate."""
