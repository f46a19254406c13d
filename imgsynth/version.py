"""The version, in a module of its own so that records can name it without importing the package's API."""

VERSION = "1.0.0"
