"""What is written on and into files that AI made, by the settings."""

from __future__ import annotations

from generator.errors import RequestError
from generator.visible import Labelling, Place, VisibleLabel
from provenance import ManifestError
from provenance.labelling import AigcLabel
from service.errors import ConfigurationError
from service.settings import Settings


def labelling(settings: Settings) -> Labelling:
    """Raises `ConfigurationError` for a place that there is none of, or words that cannot be drawn."""
    try:
        if settings.aigc_producer:
            AigcLabel(producer=settings.aigc_producer, produce_id="0")
        return Labelling(visible=_visible(settings), aigc_producer=settings.aigc_producer or None)
    except (RequestError, ManifestError) as error:
        raise ConfigurationError(f"ASSAY_VISIBLE_LABEL, ASSAY_AIGC_PRODUCER: {error}") from error


def _visible(settings: Settings) -> VisibleLabel | None:
    if not settings.visible_label:
        return None
    if settings.visible_label not in list(Place):
        places = ", ".join(Place)
        raise ConfigurationError(f"ASSAY_VISIBLE_LABEL={settings.visible_label!r}: use one of {places}")
    return VisibleLabel(
        place=Place(settings.visible_label),
        language=settings.visible_label_language,
        text=settings.visible_label_text,
        height=settings.visible_label_height,
        font=settings.visible_label_font,
    )
