"""The control tower: what flows, what is stuck, for whom it waits, and decisions about it (M29, M35, M39, M40, A19)."""
