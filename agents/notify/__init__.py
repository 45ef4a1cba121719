"""Alerts out: tells people, by Slack or Alertmanager, what the topics say. Pure but for `agent.py` and `targets.py`."""
