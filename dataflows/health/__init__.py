"""How each part is, read from outside, without fencing or delaying it."""
