"""The messaging application: people, conversations, messages and their events."""
