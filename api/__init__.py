"""The HTTP API: issues upload URLs, reports the status of images, delivers pictures."""
