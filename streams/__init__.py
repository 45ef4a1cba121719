"""How messages travel: brokers, transport, tables, checkpoints, dead letters. Knows nothing of drift or tuning."""
