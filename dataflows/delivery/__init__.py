"""The flow ``delivery``: postings to the ERPs, and their answers."""
