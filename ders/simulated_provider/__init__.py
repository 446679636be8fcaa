"""A provider's cloud for development and tests: its own process, real HTTP both ways, no database.

It knows devices by what they were registered with, and answers with what `ders.domain.simulation` says each of them
uses. It does not know what anybody expects of it.
"""
