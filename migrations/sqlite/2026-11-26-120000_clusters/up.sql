-- The clusters that records are of. One is known by its UID, that of its namespace kube-system; one
-- whose UID could not be read, or has not been read yet, has none and is known by how it was reached.
CREATE TABLE clusters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT,
    UNIQUE (uid)
);
-- How clusters were reached. An empty kubectl: by an older berth, which did not record it.
CREATE TABLE cluster_addresses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster_id BIGINT NOT NULL,
    ssh_host TEXT NOT NULL,
    ssh_port INTEGER NOT NULL,
    ssh_user TEXT NOT NULL,
    kubectl TEXT NOT NULL,
    UNIQUE (ssh_host, ssh_port, ssh_user, kubectl)
);
INSERT INTO cluster_addresses (cluster_id, ssh_host, ssh_port, ssh_user, kubectl)
    SELECT 0, ssh_host, ssh_port, ssh_user, '' FROM pods
    UNION SELECT 0, ssh_host, ssh_port, ssh_user, '' FROM builds
    UNION SELECT 0, ssh_host, ssh_port, ssh_user, '' FROM deployments
    UNION SELECT 0, ssh_host, ssh_port, ssh_user, '' FROM operations;
UPDATE cluster_addresses SET cluster_id = id;
INSERT INTO clusters (id) SELECT id FROM cluster_addresses;

CREATE TABLE new_pods (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster_id BIGINT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    project_id TEXT,
    conversation_id TEXT,
    namespace TEXT NOT NULL,
    pod_name TEXT,
    image TEXT NOT NULL,
    status TEXT NOT NULL,
    resources TEXT NOT NULL,
    service_details TEXT NOT NULL,
    ssh_host TEXT NOT NULL,
    ssh_port INTEGER NOT NULL,
    ssh_user TEXT NOT NULL,
    diagnosis TEXT,
    -- Counts how often the lease was taken: a lease is lost when the number has moved on.
    lease_number BIGINT NOT NULL,
    lease_holder TEXT,
    lease_since TIMESTAMP,
    lease_until TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (cluster_id, owner_kind, owner_id),
    UNIQUE (cluster_id, namespace)
);
INSERT INTO new_pods (id, cluster_id, owner_kind, owner_id, project_id, conversation_id, namespace, pod_name, image, status,
    resources, service_details, ssh_host, ssh_port, ssh_user, diagnosis, lease_number,
    lease_holder, lease_since, lease_until, created_at, updated_at)
    SELECT id, (SELECT cluster_id FROM cluster_addresses AS a WHERE a.ssh_host = pods.ssh_host
    AND a.ssh_port = pods.ssh_port AND a.ssh_user = pods.ssh_user), owner_kind, owner_id, project_id, conversation_id, namespace, pod_name, image, status,
    resources, service_details, ssh_host, ssh_port, ssh_user, diagnosis, lease_number,
    lease_holder, lease_since, lease_until, created_at, updated_at
    FROM pods;
-- Numbers are never used again.
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_pods', 0
    WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'new_pods');
UPDATE sqlite_sequence SET seq = (SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'pods')
    WHERE name = 'new_pods';
DROP TABLE pods;
ALTER TABLE new_pods RENAME TO pods;

CREATE TABLE new_deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster_id BIGINT NOT NULL,
    owner_kind TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    namespace TEXT NOT NULL,
    -- The name in leases of whoever may write the row.
    lock_name TEXT NOT NULL,
    image TEXT NOT NULL,
    -- Two clusters may use the same.
    host TEXT,
    status TEXT NOT NULL,
    revision BIGINT,
    replicas BIGINT NOT NULL,
    diagnosis TEXT,
    ssh_host TEXT NOT NULL,
    ssh_port INTEGER NOT NULL,
    ssh_user TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (cluster_id, owner_kind, owner_id, name),
    UNIQUE (cluster_id, lock_name)
);
INSERT INTO new_deployments (id, cluster_id, owner_kind, owner_id, name, namespace, lock_name, image, host, status, revision,
    replicas, diagnosis, ssh_host, ssh_port, ssh_user, created_at, updated_at)
    SELECT id, (SELECT cluster_id FROM cluster_addresses AS a WHERE a.ssh_host = deployments.ssh_host
    AND a.ssh_port = deployments.ssh_port AND a.ssh_user = deployments.ssh_user), owner_kind, owner_id, name, namespace, lock_name, image, host, status, revision,
    replicas, diagnosis, ssh_host, ssh_port, ssh_user, created_at, updated_at
    FROM deployments;
-- Numbers are never used again.
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_deployments', 0
    WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'new_deployments');
UPDATE sqlite_sequence SET seq = (SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'deployments')
    WHERE name = 'new_deployments';
DROP TABLE deployments;
ALTER TABLE new_deployments RENAME TO deployments;
CREATE INDEX deployments_by_host ON deployments (host);

-- Those of deployments are their clusters'; those of host names belong to none that is known.
CREATE TABLE new_leases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    cluster_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    since TIMESTAMP NOT NULL,
    until TIMESTAMP NOT NULL,
    UNIQUE (cluster_id, name)
);
INSERT INTO new_leases (id, cluster_id, name, holder, since, until)
    SELECT id, COALESCE((SELECT cluster_id FROM deployments
    WHERE lock_name = leases.name), 0), name, holder, since, until
    FROM leases;
-- Numbers are never used again.
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_leases', 0
    WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'new_leases');
UPDATE sqlite_sequence SET seq = (SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'leases')
    WHERE name = 'new_leases';
DROP TABLE leases;
ALTER TABLE new_leases RENAME TO leases;

ALTER TABLE builds ADD COLUMN cluster_id BIGINT NOT NULL DEFAULT 0;
UPDATE builds SET cluster_id = (SELECT cluster_id FROM cluster_addresses AS a WHERE a.ssh_host = builds.ssh_host
    AND a.ssh_port = builds.ssh_port AND a.ssh_user = builds.ssh_user);

ALTER TABLE operations ADD COLUMN cluster_id BIGINT NOT NULL DEFAULT 0;
UPDATE operations SET cluster_id = (SELECT cluster_id FROM cluster_addresses AS a WHERE a.ssh_host = operations.ssh_host
    AND a.ssh_port = operations.ssh_port AND a.ssh_user = operations.ssh_user);
