"""Pixels: probe, plan, render. The only place that imports pyvips; knows nothing of AWS."""
