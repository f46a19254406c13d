"""The four tasks: a request in, pictures and a record out; no UI, no disk."""
