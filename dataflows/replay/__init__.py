"""Records back to where they came from: what to send, what it would change, sending it."""
