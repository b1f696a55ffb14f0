"""The edge to AWS: the only place that imports aioboto3, aiobotocore and botocore."""
