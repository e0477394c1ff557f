"""The third opinion on the rules of the operator: pictures and numbers worked out by hand."""
