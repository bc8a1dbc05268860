//! The Rust SDK, unmodified, in a process of its own: it reads nothing but the environment.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking; the child tells by stdout")]

mod support;

use std::process::{Command, Output};

use azure_core::credentials::TokenCredential;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use support::{APP_OBJECT, HEADER, OTHER_APP, World};

/// What the child is asked to do, as `kind=id`.
const TASK: &str = "BURSAR_TEST_SDK_TASK";

/// Not a test of its own: the process that [`sdk`] starts runs this alone.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let user_assigned_id = task.split_once('=').map(|(kind, id)| match kind {
        "client_id" => UserAssignedId::ClientId(id.to_owned()),
        _ => UserAssignedId::ObjectId(id.to_owned()),
    });
    let options = ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() };
    let credential = ManagedIdentityCredential::new(Some(options)).unwrap();
    match credential.get_token(&["https://vault.azure.net/.default"], None).await {
        Ok(token) => println!("token {}", token.token.secret()),
        Err(error) => println!("error {error}"),
    }
}

async fn sdk(world: &World, header: &str, task: &str) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(TASK, task);
    for name in
        ["IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET", "IDENTITY_SERVER_THUMBPRINT", "HTTP_PROXY", "http_proxy"]
    {
        command.env_remove(name);
    }
    command.env("IDENTITY_ENDPOINT", format!("{}/msi/token", world.tokens())).env("IDENTITY_HEADER", header);
    let Output { stdout, .. } = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8(stdout).unwrap();
    text.lines().find(|line| line.starts_with("token ") || line.starts_with("error ")).unwrap_or(&text).to_owned()
}

fn app_of(line: &str) -> String {
    use base64::Engine;
    let payload = line.strip_prefix("token ").unwrap().split('.').nth(1).unwrap();
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice::<serde_json::Value>(&claims).unwrap()["appid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn gets_a_token_through_the_app_service_pair() {
    let world = World::start().await;
    assert_eq!(app_of(&sdk(&world, HEADER, "").await), support::APP);
    assert_eq!(app_of(&sdk(&world, HEADER, &format!("client_id={OTHER_APP}")).await), OTHER_APP);
    assert_eq!(app_of(&sdk(&world, HEADER, &format!("object_id={APP_OBJECT}")).await), support::APP);
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_what_is_wrong() {
    let world = World::start().await;
    let unknown = sdk(&world, HEADER, "client_id=nobody").await;
    // The SDK has words of its own for 400 on this path.
    assert!(unknown.contains("The requested identity has not been assigned to this resource"), "{unknown}");
    let wrong = sdk(&world, "wrong", "").await;
    assert!(wrong.starts_with("error ") && wrong.contains("x-identity-header is missing or wrong"), "{wrong}");
}
