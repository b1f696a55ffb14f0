"""`safelight doctor`: checks that a deployment fits what its programs need. Changes nothing."""
