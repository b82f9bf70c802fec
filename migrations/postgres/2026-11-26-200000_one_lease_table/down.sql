-- The counters of leases that pods had are gone.
SELECT 1;
