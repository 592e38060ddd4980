"""Objectives for how long postings take, judged over the analytics store (M39, M40)."""

from __future__ import annotations
