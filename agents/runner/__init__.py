"""Trial runners: they take trials from Kafka, run them in processes, and send back how they ended."""
