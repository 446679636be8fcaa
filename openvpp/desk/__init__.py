"""The CSR's desk: one search box, and one page with everything about a customer."""
