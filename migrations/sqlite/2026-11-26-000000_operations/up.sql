-- What changed a cluster, newest last. Rows are deleted when they are older than BERTH_HISTORY.
CREATE TABLE operations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL,
    -- pod, deployment, build, secret, builder, kubeconfig
    workload TEXT NOT NULL,
    owner_kind TEXT,
    owner_id TEXT,
    -- The deployment's, build's or secret's name.
    name TEXT,
    ssh_host TEXT NOT NULL,
    ssh_port INTEGER NOT NULL,
    ssh_user TEXT NOT NULL,
    -- The user who ran berth, and the process, as in leases.
    local_user TEXT NOT NULL,
    holder TEXT NOT NULL,
    began_at TIMESTAMP NOT NULL,
    -- Empty while it runs, and when its process was killed.
    ended_at TIMESTAMP,
    outcome TEXT,
    result TEXT,
    error TEXT
);
CREATE INDEX operations_by_owner ON operations (owner_kind, owner_id);
CREATE INDEX operations_by_time ON operations (began_at);
