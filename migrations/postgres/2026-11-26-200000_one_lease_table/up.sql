-- All leases are in one table; a record has the name of the lease on its workload.
ALTER TABLE pods ADD COLUMN lock_name TEXT NOT NULL DEFAULT '';
UPDATE pods SET lock_name = 'pod ' || namespace;
CREATE UNIQUE INDEX pods_by_lock_name ON pods (cluster_id, lock_name);
-- Those that are held stay held; times are copied as they are written.
INSERT INTO leases (cluster_id, name, holder, since, until)
    SELECT cluster_id, lock_name, lease_holder, lease_since, lease_until FROM pods
    WHERE lease_holder IS NOT NULL AND lease_since IS NOT NULL AND lease_until IS NOT NULL;
ALTER TABLE pods DROP COLUMN lease_number;
ALTER TABLE pods DROP COLUMN lease_holder;
ALTER TABLE pods DROP COLUMN lease_since;
ALTER TABLE pods DROP COLUMN lease_until;
