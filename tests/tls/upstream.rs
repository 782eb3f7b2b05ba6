//! Calls of an upstream over https. The upstream is another server of ours, whose dummy answers.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;

use crate::support::certificates::Certificates;
use crate::support::server::{Launch, assert_verified};
use crate::support::{On, TestDatabase, temporary, wait};

const PATIENCE: Duration = Duration::from_secs(20);

const ASKED: &str = "POST /v1/chat/completions";

#[rstest]
#[case::its_own_authority(true)]
#[case::another_authority(false)]
fn an_upstream_gets_prompt_and_key_only_if_its_certificate_is_trusted(#[case] is_trusted: bool) {
    let Some(own) = TestDatabase::create(On::Sqlite) else { return };
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let (certificates, other) = (Arc::new(Certificates::new()), Certificates::new());
    let upstream = Launch::on(&own).with(&certificates).start();
    let key = upstream.user("tollgate");
    let folder = temporary::directory();
    let file = folder.path().join("key");
    std::fs::write(&file, &key).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();

    let url = format!("https://{}/v1", upstream.address());
    let flags = ["--responder", "openai", "--upstream-models", "dummy", "--upstream-url", &url];
    let trusted = if is_trusted { certificates.authority_file() } else { other.authority_file() };
    let server = Launch::on(&database)
        .flags(&flags)
        .flags(&["--upstream-key-file", file.to_str().unwrap()])
        .under(&["env", &format!("SSL_CERT_FILE={}", trusted.display())])
        .start();
    let token = server.user("ada");
    let answer = server.chat(&token, "hi");
    if is_trusted {
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.json()["response"], "Response to hi");
        assert_eq!((server.tokens(&token), upstream.tokens(&key)), (3900, 3900));
        wait::until("the prompt", PATIENCE, || upstream.log().contains(ASKED).then_some(()));
    } else {
        assert!(matches!(answer.status, 502 | 503), "{answer:?}");
        assert_eq!((server.tokens(&token), upstream.tokens(&key)), (4000, 4000));
        let is_said = || server.log().contains("invalid peer certificate").then_some(());
        wait::until("the reason in the log", PATIENCE, is_said);
        // Not even what needs no prompt, such as the list of models.
        assert!(
            !upstream.log().contains(ASKED) && !upstream.log().contains("/v1/models"),
            "{}",
            upstream.log()
        );
    }
    assert!(!server.log().contains(&key), "{}", server.log());
    drop((server, upstream));
    assert_verified(&database);
    assert_verified(&own);
}
