"""The whole system on this machine: an embedded AWS, the stack, api and worker as processes."""
