"""Subscribe a new queue to the topic, and print its URL: python subscribe.py TOPIC_ARN NAME."""

import json
import sys

import boto3

topic, name = sys.argv[1:]
sqs, sns = boto3.client("sqs"), boto3.client("sns")
url = sqs.create_queue(QueueName=name)["QueueUrl"]
attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
sender = {
    "Effect": "Allow",
    "Principal": {"Service": "sns.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": attributes["QueueArn"],
    "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
}
policy = json.dumps({"Version": "2012-10-17", "Statement": [sender]})
sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
raw = {"RawMessageDelivery": "true"}
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["QueueArn"], Attributes=raw)
print(url)
