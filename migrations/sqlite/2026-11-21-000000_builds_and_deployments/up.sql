-- Who works on what. A row's id is the lease's number; it is never used again, so that a lease is
-- lost for good when its row is gone.
CREATE TABLE leases (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    since TIMESTAMP NOT NULL,
    until TIMESTAMP NOT NULL,
    UNIQUE (name)
);

-- One row a build.
CREATE TABLE builds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    image TEXT NOT NULL,
    -- The image without its tag, to look for.
    image_name TEXT NOT NULL,
    source TEXT NOT NULL,
    context_hash TEXT,
    builder TEXT NOT NULL,
    namespace TEXT NOT NULL,
    ssh_host TEXT NOT NULL,
    ssh_port INTEGER NOT NULL,
    ssh_user TEXT NOT NULL,
    status TEXT NOT NULL,
    digest TEXT,
    failure TEXT,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (name)
);
CREATE INDEX builds_by_image ON builds (image_name);

-- One row a deployment of an owner.
CREATE TABLE deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner_kind TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    namespace TEXT NOT NULL,
    -- The name in leases of whoever may write the row.
    lock_name TEXT NOT NULL,
    image TEXT NOT NULL,
    -- In lower case. Two clusters may use the same.
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
    UNIQUE (owner_kind, owner_id, name),
    UNIQUE (lock_name)
);
CREATE INDEX deployments_by_host ON deployments (host);
