"""Pictures by URL: found in the asset bucket, else rendered once, stored and answered."""
