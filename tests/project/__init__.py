"""The project as a whole: guards of its sources, settings, checks, packages."""
