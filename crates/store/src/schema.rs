//! The tables as diesel sees them; `migrations/` makes them.

diesel::table! {
    pods (id) {
        id -> BigInt,
        cluster_id -> BigInt,
        owner_kind -> Text,
        owner_id -> Text,
        project_id -> Nullable<Text>,
        conversation_id -> Nullable<Text>,
        namespace -> Text,
        lock_name -> Text,
        pod_name -> Nullable<Text>,
        image -> Text,
        status -> Text,
        resources -> Text,
        service_details -> Text,
        ssh_host -> Text,
        ssh_port -> Integer,
        ssh_user -> Text,
        diagnosis -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    leases (id) {
        id -> BigInt,
        cluster_id -> BigInt,
        name -> Text,
        holder -> Text,
        since -> Timestamp,
        until -> Timestamp,
    }
}

diesel::table! {
    builds (id) {
        id -> BigInt,
        cluster_id -> BigInt,
        name -> Text,
        image -> Text,
        image_name -> Text,
        source -> Text,
        context_hash -> Nullable<Text>,
        builder -> Text,
        namespace -> Text,
        ssh_host -> Text,
        ssh_port -> Integer,
        ssh_user -> Text,
        status -> Text,
        digest -> Nullable<Text>,
        failure -> Nullable<Text>,
        started_at -> Timestamp,
        finished_at -> Nullable<Timestamp>,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    deployments (id) {
        id -> BigInt,
        cluster_id -> BigInt,
        owner_kind -> Text,
        owner_id -> Text,
        name -> Text,
        namespace -> Text,
        lock_name -> Text,
        image -> Text,
        host -> Nullable<Text>,
        status -> Text,
        revision -> Nullable<BigInt>,
        replicas -> BigInt,
        diagnosis -> Nullable<Text>,
        ssh_host -> Text,
        ssh_port -> Integer,
        ssh_user -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    operations (id) {
        id -> BigInt,
        cluster_id -> BigInt,
        action -> Text,
        workload -> Text,
        owner_kind -> Nullable<Text>,
        owner_id -> Nullable<Text>,
        name -> Nullable<Text>,
        ssh_host -> Text,
        ssh_port -> Integer,
        ssh_user -> Text,
        local_user -> Text,
        holder -> Text,
        began_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
        outcome -> Nullable<Text>,
        result -> Nullable<Text>,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    clusters (id) {
        id -> BigInt,
        uid -> Nullable<Text>,
    }
}

diesel::table! {
    cluster_addresses (id) {
        id -> BigInt,
        cluster_id -> BigInt,
        ssh_host -> Text,
        ssh_port -> Integer,
        ssh_user -> Text,
        kubectl -> Text,
    }
}

diesel::allow_tables_to_appear_in_same_query!(pods, leases);
diesel::allow_tables_to_appear_in_same_query!(deployments, leases);
