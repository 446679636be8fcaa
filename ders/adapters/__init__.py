"""The only code that reaches a provider."""
