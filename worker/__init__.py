"""The worker: receives messages, renders, stores, records and publishes."""
