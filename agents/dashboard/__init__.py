"""What operators see and touch: a page and an HTTP API, from the topics alone.

`view.py` folds the topics into what is known of each model; `answers.py` and `listing.py` turn that into what the API
says; `orders.py` turns what a person wants into records. Around these pure parts: `feed.py` reads the topics,
`tail.py` the newest metrics of a model that someone looks at, `flow.py` the stages' lag, `publisher.py` writes,
`api.py` is the HTTP API, `static/` the page. The process owns no state: stopped and started, it reads it all again.
"""
