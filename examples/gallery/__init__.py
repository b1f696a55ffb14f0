"""A gallery with logged-in users. docs/guide/integrate.md explains it."""
