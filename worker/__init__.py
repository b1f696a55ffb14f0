"""The queue's side: receives messages, renders, stores, records and publishes."""
