"""Keep the newest settlement of each image in a database: python completions.py QUEUE_URL FILE."""

import json
import sqlite3
import sys
from typing import Any

import boto3

TABLE = """
CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, sequence TEXT, time TEXT, data TEXT)
"""
STORE = """
INSERT INTO images VALUES (:id, :sequence, :time, :data)
ON CONFLICT (id) DO UPDATE
SET sequence = excluded.sequence, time = excluded.time, data = excluded.data
WHERE CASE WHEN sequence > '' AND excluded.sequence > ''
      THEN excluded.sequence > sequence ELSE excluded.time > time END
"""


def connect(file: str) -> sqlite3.Connection:
    """Open the database."""
    database = sqlite3.connect(file)
    database.execute(TABLE)
    return database


def store(database: sqlite3.Connection, event: dict[str, Any]) -> bool:
    """Store a completion. Return False if it is a duplicate or out of date."""
    row = {
        "id": event["subject"],
        "sequence": event.get("sequence", ""),
        "time": event["time"],
        "data": json.dumps(event["data"]),
    }
    with database:  # one transaction: put your own changes here too
        return database.execute(STORE, row).rowcount == 1


def receive(sqs: Any, queue_url: str, database: sqlite3.Connection) -> list[dict[str, Any]]:
    """Wait up to 20 seconds for messages, store their completions, and return the new ones."""
    answer = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
    new = []
    for message in answer.get("Messages", []):
        event = json.loads(message["Body"])
        if store(database, event):
            new.append(event)
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return new


def run(queue_url: str, file: str) -> None:
    """Receive for ever, and print each new settlement."""
    sqs, database = boto3.client("sqs"), connect(file)
    while True:
        for event in receive(sqs, queue_url, database):
            data = event["data"]
            print(event["subject"], data["status"], data.get("reason", ""), flush=True)


if __name__ == "__main__":
    run(*sys.argv[1:])
