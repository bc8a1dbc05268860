//! `azure_identity` as a program: CREDENTIAL SELECTOR VALUE RESOURCE [twice]
#![expect(clippy::print_stdout, reason = "a program of one line of output")]

use std::io;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use serde_json::{Value, json};

#[tokio::main]
async fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [_, selector, value, resource, twice @ ..] = words.as_slice() else {
        return Err(io::Error::other("usage: CREDENTIAL SELECTOR VALUE RESOURCE [twice]"));
    };
    let credential = match credential(selector, value) {
        Ok(credential) => credential,
        Err(error) => {
            println!("{}", told(&error));
            return Ok(());
        }
    };
    println!("{}", ask(&credential, resource).await);
    if !twice.is_empty() {
        io::stdin().read_line(&mut String::new())?;
        println!("{}", ask(&credential, resource).await);
    }
    Ok(())
}

fn credential(selector: &str, value: &str) -> azure_core::Result<Arc<ManagedIdentityCredential>> {
    let user_assigned_id = match selector {
        "client_id" => Some(UserAssignedId::ClientId(value.to_owned())),
        "object_id" => Some(UserAssignedId::ObjectId(value.to_owned())),
        "resource_id" => Some(UserAssignedId::ResourceId(value.to_owned())),
        _ => None,
    };
    ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() }))
}

async fn ask(credential: &ManagedIdentityCredential, resource: &str) -> Value {
    match credential.get_token(&[&format!("{resource}/.default")], None).await {
        Ok(token) => json!({ "token": token.token.secret(), "expires_on": token.expires_on.unix_timestamp() }),
        Err(error) => told(&error),
    }
}

/// What the SDK says, with the causes that it keeps to itself.
fn told(error: &azure_core::Error) -> Value {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    json!({ "error": text.split_whitespace().collect::<Vec<_>>().join(" ") })
}
