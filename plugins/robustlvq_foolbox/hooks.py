"""What this package registers; imports no torch."""
