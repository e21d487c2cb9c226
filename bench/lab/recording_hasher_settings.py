"""The project's settings, with the hasher that records passwords."""

from messaging_app.settings import *  # noqa: F403

PASSWORD_HASHERS = ["bench.lab.recording_hasher.RecordingHasher"]
