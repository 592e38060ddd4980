"""Bulk decoders: original bytes in, event columns and faults out."""
