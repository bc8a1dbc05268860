//! Every way to ask there is: each dialect, path and method, with what its guard demands.

use bursar::dialect::table::{DIALECTS, names};
use bursar::dialect::{Dialect, Guard, Method, Version};

use super::{HEADER, Reply, TWO_IDENTITIES, World, directory};

pub const VAULT: &str = "resource=https%3A%2F%2Fvault.azure.net";

/// A service that speaks every dialect, also over TLS.
pub async fn world() -> World {
    let directory = directory();
    std::fs::create_dir(directory.path().join("keys")).unwrap();
    let listen = "listen = [\"127.0.0.1:0\"]\n";
    assert!(TWO_IDENTITIES.contains(listen));
    let every: Vec<&str> = names().collect();
    let all = format!("listen = [\"127.0.0.1:0\", \"https://127.0.0.1:0\"]\ndialects = {every:?}\n");
    let config = TWO_IDENTITIES.replacen(listen, &all, 1).replacen(
        "[tenants.one]",
        "[dialects.arc]\nkey_dir = \"keys\"\n\n[tenants.one]",
        1,
    );
    World::within(directory, &config).await
}

/// Where a row of the table is asked, and by whom: its listener's scheme and address, and a client that trusts it.
pub fn at(world: &World, row: &Dialect) -> (String, reqwest::Client) {
    let listens = world.server.listens();
    let listen = listens.iter().find(|listen| listen.is_tls() == row.needs_tls).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap();
    (if row.needs_tls { listen.to_string() } else { format!("http://{listen}") }, http)
}

/// Asks as the row says, with what its guard demands, for the vault and with further parameters.
pub async fn ask(world: &World, row: &Dialect, path: &str, method: Method, parameters: &str) -> Reply {
    let (base, http) = at(world, row);
    let version = match row.version {
        Version::From(version) | Version::Only(version) => format!("api-version={version}"),
        Version::Optional => String::new(),
    };
    let (url, parameters) = (format!("{base}{path}?{version}"), format!("{VAULT}&{parameters}"));
    let request = || match method {
        Method::Get => http.get(format!("{url}&{parameters}")),
        Method::Post => http.post(&url).body(parameters.clone()),
    };
    let request = match row.guard {
        Guard::HeaderSecret(name) => request().header(name, HEADER),
        Guard::Metadata => request().header("Metadata", "true"),
        Guard::KeyFile => {
            let challenged = world.send(request().header("Metadata", "true")).await;
            // A mistake in the parameters is told before a key is asked for.
            let Some(challenge) = challenged.headers.get("www-authenticate") else { return challenged };
            let path = challenge.to_str().unwrap().strip_prefix("Basic realm=").unwrap();
            let key = format!("Basic {}", std::fs::read_to_string(path).unwrap());
            request().header("Metadata", "true").header("Authorization", key)
        }
    };
    world.send(request).await
}

/// Every way to ask there is: row, path and method.
pub fn ways() -> impl Iterator<Item = (&'static Dialect, &'static str, Method)> {
    let paths = DIALECTS.iter().flat_map(|row| row.paths.iter().map(move |path| (row, *path)));
    let ways = paths.flat_map(|(row, path)| row.methods.iter().map(move |method| (row, path, *method)));
    // A GET of that path is for IMDS where both are served.
    ways.filter(|(row, path, method)| row.name != "cloud-shell" || row.paths[0] == *path || *method == Method::Post)
}
