"""The proof: the real ``confirmations`` flow under simulated crashes, held to the laws (docs/simulation.md)."""

from dataflows.proof.campaign import Campaign, Verdict
from dataflows.proof.laws import BrokenLaw, Law
from dataflows.proof.plain import plain

__all__ = ["BrokenLaw", "Campaign", "Law", "Verdict", "plain"]
