"""`safelight capacity`: what a fleet would do and cost under given arrivals. Calls nothing."""
