"""The vendor's rules by which an operator is accepted, applied to a sweep: rules, cases, examination, report."""
