"""Errors of the bench."""


class BenchError(Exception):
    """Base of every error the bench raises on purpose; the message says what to do."""


class AttackError(BenchError):
    """An attack was given frames or parameters that it cannot work on."""


class MediaError(BenchError):
    """A media folder or file cannot be used."""


class UnavailableError(BenchError):
    """An optional system (a peer, a VAE) is not installed; the message says how to enable it."""
