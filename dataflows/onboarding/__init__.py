"""A new plant is connected: its sample recognised, a mapping proposed, and the mapping tried on the sample (M45)."""
