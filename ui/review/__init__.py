"""The Review Results dock: one object after another, and a person's verdict on each."""
