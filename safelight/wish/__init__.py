"""What may be asked of pixels: the seam between a URL and a picture."""
