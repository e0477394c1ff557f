"""The sweep: many calls of the operator, forward and backward, judged by the golden model."""
