"""The exception family of this package."""


class WatermarkError(Exception):
    """Base of every error raised by `watermark`."""


class KeyRingError(WatermarkError):
    """Key material that cannot carry a mark: too short, a well-known default, or an index out of range."""


class PayloadError(WatermarkError):
    """A value that is not a media id, or does not fit the payload."""


class EmbeddingError(WatermarkError):
    """The mark could not be put in, so the picture must not be released."""


class DetectionError(WatermarkError):
    """The detector was given something that is not a picture or clip."""


class MediaError(WatermarkError):
    """A file that is not readable media within the limits; the message names the reason."""
