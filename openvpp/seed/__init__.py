"""A small utility to start with, on a developer's machine: harbor, its people, its meters and its money."""
