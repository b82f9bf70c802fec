//! Other processes: the test binary starts itself with one of these, which are skipped otherwise.

use std::{
    env, fs,
    process::{Child, Command, Stdio},
};

use berth::store::{Claim, Holder, Store};

use crate::{LONG, chain, new_pod, shop};

/// The URL that a child opens.
const URL: &str = "STORE_TEST_URL";
/// The file that stands for what only one process may do at a time.
const GUARD: &str = "STORE_TEST_GUARD";

/// A command that runs the named function of this module on the database.
pub(crate) fn command(name: &str, url: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", &format!("child::{name}"), "--nocapture"]);
    command.env(URL, url).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn claiming(url: &str, guard: &std::path::Path) -> Child {
    let mut command = command("claims_again_and_again", url);
    command.env(GUARD, guard).spawn().unwrap()
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}

#[tokio::test]

async fn claims_again_and_again() {
    let (Some(url), Some(guard)) = (variable(URL), variable(GUARD)) else {
        return;
    };
    let store = Store::open(&url.parse().unwrap()).await.unwrap();
    let holder = Holder::this_process();
    let mut taken = 0;
    while taken < 5 {
        let claim = store.claim(&shop(), &new_pod(), &holder, LONG).await;
        let Claim::Taken(lease, _) = claim.unwrap() else {
            tokio::task::yield_now().await;
            continue;
        };
        fs::File::create_new(&guard).expect("another process has the lease too");
        assert!(store.renew(&lease, LONG).await.unwrap());
        fs::remove_file(&guard).unwrap();
        store.release(&lease).await.unwrap();
        taken += 1;
    }
}

/// Prints what comes of opening the store and claiming a pod.
#[tokio::test]

async fn opens_and_claims() {
    let Some(url) = variable(URL) else { return };
    let claimed = async {
        let store = Store::open(&url.parse().unwrap()).await?;
        let holder = Holder::this_process();
        store.claim(&shop(), &new_pod(), &holder, LONG).await
    };
    match claimed.await {
        Ok(_) => println!("outcome: fine"),
        Err(error) => println!("outcome: {}", chain(&error)),
    }
}

/// What [`opens_and_claims`] printed.
pub(crate) fn outcome(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .find_map(|line| Some(line.split_once("outcome: ")?.1));
    line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)))
        .to_owned()
}
