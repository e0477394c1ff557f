"""Equivalences that need no expected values."""
