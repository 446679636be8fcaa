"""`make demo`: a customer's journey, played against a running stack and checked against chain and books."""
