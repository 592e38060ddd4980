"""The command line: ``plantsync``."""

from dataflows.cli.app import app, main

__all__ = ["app", "main"]
