"""Pictures by URL: read from the asset bucket, or rendered once, stored and returned."""
