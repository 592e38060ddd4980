"""What speaks a plant's protocol and makes a log of what it says (docs/collect.md)."""
