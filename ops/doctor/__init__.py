"""`safelight doctor`: looks whether a deployment is as api and worker need it. Changes nothing."""
