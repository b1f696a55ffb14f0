"""What writes files of the project, or is a program to run beside it: never part of the product."""
