"""Applications that use Safelight as their users would: over HTTP and AWS, without its code."""
