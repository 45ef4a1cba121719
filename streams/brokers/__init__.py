"""Where Kafka comes from: a user's cluster, jars, a container, or an embedded broker. Nothing starts at import."""
