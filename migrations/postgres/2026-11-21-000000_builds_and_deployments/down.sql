DROP TABLE deployments;
DROP TABLE builds;
DROP TABLE leases;
