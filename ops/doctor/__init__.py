"""`safelight doctor`: checks that a deployment fits what api and worker need. Changes nothing."""
