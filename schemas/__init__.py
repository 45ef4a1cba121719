"""What travels: a pydantic model for every message, one module a topic, and the registry of topics.

Nothing here knows Kafka or does I/O. `schemas.parse` turns a record's bytes into a message or says in one line why not.
"""
