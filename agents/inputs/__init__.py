"""Topics of others: what inference servers log there becomes `prediction` messages. Pure but for `agent.py`."""
