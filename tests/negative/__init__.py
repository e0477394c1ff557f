"""Calls that must be refused, and how."""
