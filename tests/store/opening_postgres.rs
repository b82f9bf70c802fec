//! What can be wrong with a Postgres server, or with the way to it.

use std::net::TcpListener;

use berth::store::{DatabaseUrl, Store, StoreError};

use crate::{
    Database, LONG, chain, child,
    postgres::{PASSWORD, PASSWORD_IN_URL, USER, server},
    shop, take,
};

/// The error of opening the URL, none of whose parts may show a password.
async fn refused(url: &str) -> StoreError {
    let url: DatabaseUrl = url.parse().unwrap();
    let error = Store::open(&url).await.expect_err("it was opened");
    for shown in [
        chain(&error),
        format!("{error:?}"),
        format!("{url} {url:?}"),
    ] {
        for password in [PASSWORD, PASSWORD_IN_URL, "hunter2"] {
            assert!(!shown.contains(password), "{shown}");
        }
    }
    assert!(error.hint().is_some(), "{error:?}");
    error
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let error = refused(&server().url(USER, "hunter2", "postgres")).await;
    assert!(
        matches!(error, StoreError::AccessDenied { .. }),
        "{error:?}"
    );
    let error = refused(&server().url("stranger", "hunter2", "postgres")).await;
    assert!(
        matches!(error, StoreError::AccessDenied { .. }),
        "{error:?}"
    );
    let port = server().port;
    let error = refused(&format!("postgres://{USER}@127.0.0.1:{port}/postgres")).await;
    assert!(
        matches!(error, StoreError::AccessDenied { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn another_kind_of_server_is_told_from_one_of_postgres() {
    use std::io::{Read as _, Write as _};
    for mode in ["disable", "prefer", "require"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").unwrap();
            // What came is read, so that the end is none by a reset.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = refused(&format!(
            "postgres://u:p@127.0.0.1:{port}/db?sslmode={mode}"
        ))
        .await;
        let shown = chain(&error);
        assert!(
            shown.contains("the server at this address") && shown.contains("PostgreSQL"),
            "{mode}: {shown}"
        );
        assert!(error.hint().unwrap().contains("host and port"), "{mode}");
        serving.join().unwrap();
    }
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let error = refused(&server().url(USER, PASSWORD_IN_URL, "typo")).await;
    assert!(
        matches!(error, StoreError::NoSuchDatabase { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("/typo"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr();
    let port = port.unwrap().port();
    let error = refused(&format!("postgres://u:hunter2@127.0.0.1:{port}/db")).await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    let error = refused("postgres://u:hunter2@no-such-host.invalid/db").await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    let error = refused("postgres://u:hunter2@%2Fno%2Fsuch%2Ffolder/db").await;
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let database = Database::postgres().await;
    for mode in ["prefer", "require", "verify-full"] {
        let error = refused(&format!("{}?sslmode={mode}", database.url)).await;
        assert!(matches!(error, StoreError::Tls { .. }), "{error:?}");
        // Which of the two depends on the names of the authorities that this system trusts.
        let chain = chain(&error);
        assert!(
            chain.contains("an authority that is not trusted")
                || chain.contains("not signed by the authority"),
            "{error:?}"
        );
        assert!(error.hint().unwrap().contains("SSL_CERT_FILE"), "{error:?}");
    }
}

#[tokio::test]
async fn a_file_of_certificates_that_is_missing_is_named() {
    let database = Database::postgres().await;
    let mut command = child::command(
        "opens_and_claims",
        &format!("{}?sslmode=require", database.url),
    );
    command
        .env("SSL_CERT_FILE", "/no/such/file")
        .env_remove("SSL_CERT_DIR");
    let outcome = child::outcome(command);
    assert!(outcome.contains("/no/such/file"), "{outcome}");
}

#[tokio::test]
async fn a_certificate_that_the_system_trusts_is_accepted_for_its_host_alone() {
    let database = Database::postgres().await;
    let trusting = |url: &str| {
        let mut command = child::command("opens_and_claims", url);
        command.env("SSL_CERT_FILE", &server().certificate);
        child::outcome(command)
    };
    let url = format!("{}?sslmode=require", database.url);
    assert_eq!(trusting(&url), "fine");
    assert_eq!(trusting(&url.replace("127.0.0.1", "localhost")), "fine");
    assert_eq!(trusting(&format!("{url}&channel_binding=require")), "fine");
    // A name that leads nowhere, at the server's address.
    let other = url.replace("127.0.0.1", "other.invalid");
    let other = trusting(&format!("{other}&hostaddr=127.0.0.1"));
    assert!(other.contains("its certificate is for"), "{other}");
}

#[tokio::test]
async fn a_user_who_may_not_make_tables_can_use_them() {
    let database = Database::postgres().await;
    let (_, name) = database.url.rsplit_once('/').unwrap();
    let role = format!("reader_{name}");
    database
        .execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'"))
        .await;
    let url = server().url(&role, "hunter2", name);
    let error = refused(&url).await;
    assert!(matches!(error, StoreError::Migration { .. }), "{error:?}");

    database.store().await;
    database
        .execute(&format!(
            "GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"
        ))
        .await;
    let store = Store::open(&url.parse().unwrap()).await.unwrap();
    take(&store, &shop(), LONG).await;
}

#[tokio::test]
async fn a_read_only_server_says_so() {
    let database = Database::postgres().await;
    database.store().await;
    let (_, name) = database.url.rsplit_once('/').unwrap();
    database
        .execute(&format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = on"
        ))
        .await;
    let store = database.store().await;
    let holder = berth::store::Holder::this_process();
    let claim = store.claim(&shop(), &crate::new_pod(), &holder, LONG).await;
    assert!(
        matches!(claim, Err(StoreError::ReadOnly { .. })),
        "{claim:?}"
    );
    assert_eq!(store.find(&shop()).await.unwrap(), None);
}

#[tokio::test]
async fn connections_that_the_server_ended_are_made_anew() {
    let database = Database::postgres().await;
    let store = database.store().await;
    take(&store, &shop(), LONG).await;
    let (_, name) = database.url.rsplit_once('/').unwrap();
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = '{name}' AND application_name = 'berth'"
    );
    let admin = server().connect("postgres").await;
    admin.batch_execute(&end).await.unwrap();
    assert!(store.find(&shop()).await.unwrap().is_some());

    // And one that goes away while it is away says why, once it is asked for.
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    admin.batch_execute(&drop).await.unwrap();
    let error = store.find(&shop()).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NoSuchDatabase { .. }),
        "{error:?}"
    );
}
