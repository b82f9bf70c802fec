-- One row an owner. Times are UTC; JSON is text, so that both databases hold the same.
CREATE TABLE pods (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
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
    UNIQUE (owner_kind, owner_id),
    UNIQUE (namespace)
);
