"""All calls to AWS. Of api and workers only this package imports aioboto3 and botocore."""
