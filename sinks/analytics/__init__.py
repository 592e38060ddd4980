"""The analytics store: its tables, their rows, its files and what is published of it."""
