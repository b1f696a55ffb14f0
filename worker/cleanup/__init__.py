"""The role `cleanup`: erases images, and deletes objects that no record names."""
