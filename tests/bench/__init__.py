"""The helpers of the measurements: what they count, load and replay."""
