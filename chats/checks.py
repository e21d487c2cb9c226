"""System checks of the configuration, numbered, each with a hint."""
