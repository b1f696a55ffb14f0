"""HTTP's side: issues upload URLs and answers questions about images."""
