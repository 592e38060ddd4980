"""Settings: what plantsync is told, each section in a file of its own; ``settings`` has them all, and reads them."""

from dataflows.settings.settings import Settings, SettingsInvalid, load, problems, warnings

__all__ = ["Settings", "SettingsInvalid", "load", "problems", "warnings"]
