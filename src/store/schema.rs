//! The tables as diesel sees them; `migrations/` makes them.

diesel::table! {
    pods (id) {
        id -> BigInt,
        owner_kind -> Text,
        owner_id -> Text,
        project_id -> Nullable<Text>,
        conversation_id -> Nullable<Text>,
        namespace -> Text,
        pod_name -> Nullable<Text>,
        image -> Text,
        status -> Text,
        resources -> Text,
        service_details -> Text,
        ssh_host -> Text,
        ssh_port -> Integer,
        ssh_user -> Text,
        diagnosis -> Nullable<Text>,
        lease_number -> BigInt,
        lease_holder -> Nullable<Text>,
        lease_since -> Nullable<Timestamp>,
        lease_until -> Nullable<Timestamp>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}
