"""From the target's own scale to values of order one, and back."""
