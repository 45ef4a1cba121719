"""The model registry: versions and aliases on the topic `models`, their artifacts, and who may become the champion.

artifacts   bytes in a folder or at a URL, by their content, verified when loaded
view        the registry as a fold of the topic's records (pure)
actions     what people do to it, as messages (pure)
promotion   whether a challenger may replace the champion (pure but for reading an artifact)
known       the little of it that a stage keeps in its state (pure)
lineage     where a version comes from and what it led to (pure)
client      reads, follows and writes the topic
"""
