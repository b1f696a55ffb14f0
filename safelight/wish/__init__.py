"""What may be asked of pixels: the vocabulary between URLs or presets and the engine."""
