//! Reads `[kubernetes]`: the cluster whose service-account tokens prove callers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Certificate;
use url::{Host, Url};

use super::key::Key;
use super::secret::Surroundings;
use super::section::{Section, flag, parsed, text};
use super::spelling;
use super::tenant::roots;
use crate::cluster::claims::{LEGACY_ISSUER, Rules};
use crate::cluster::endpoint::{Endpoint, Service};
use crate::cluster::keys::Origin;
use crate::cluster::{Settings, Warrant, key};
use crate::credential::file;
use crate::fault::Fault;
use crate::name::Malformed;
use crate::token::Descent;
use crate::wire::{Reach, Trust, Wire, is_confidential, is_loopback};

/// The cluster that callers are in.
#[derive(Debug)]
pub struct Kubernetes {
    /// What it is known by.
    pub settings: Settings,
    /// All that is written of it, and what its certificates are: equal where nothing is another.
    pub whole: Descent,
}

/// Reads the section. `pod` is the directory in which a pod finds its own token and its cluster's certificates.
pub fn read(mut section: Section<'_>, surroundings: Surroundings<'_>, pod: &Path) -> Option<Kubernetes> {
    // Before the certificates are read to be used, so that what comes in between is found another.
    let ca_file = section.peek("ca_file").map_or_else(|| pod.join("ca.crt"), |written| surroundings.path(&written));
    let pem = file::read(&ca_file, file::MOST).unwrap_or_default();
    let whole = spelling::descent(&section.rest(), &[], &[&pem]);
    let rules = rules(&mut section);
    let warrant = warrant(&mut section, surroundings, pod);
    section.end();
    Some(Kubernetes { settings: Settings { rules: rules?, warrant: warrant? }, whole })
}

fn rules(section: &mut Section<'_>) -> Option<Rules> {
    let issuer =
        section.required("issuer", "write the cluster's issuer, as 'iss' of its tokens has it", parsed(issuer));
    let missing = "list the audiences that projected tokens for this service have, such as [\"api://bursar\"]";
    let audiences = section.some_items("audience", Some(missing), "correct the audience", word);
    let legacy = section.or("legacy_tokens", flag);
    Some(Rules { issuer: issuer?, audiences: audiences?, legacy })
}

fn warrant(section: &mut Section<'_>, surroundings: Surroundings<'_>, pod: &Path) -> Option<Warrant> {
    let review = section.or("token_review", flag);
    check_use(section, review);
    let file = key_file(section, surroundings);
    let keys = section.or("jwks_url", parsed(place));
    let server = section.or("api_server", parsed(place));
    let (service, url) = if review { (Service::Review, reviews(server)) } else { (Service::Keys, keys) };
    let endpoint = endpoint(section, service, url, surroundings, pod);
    match file {
        _ if review => endpoint.map(Warrant::Review),
        Some(path) => path.map(Origin::File).map(Warrant::Keys),
        None => endpoint.map(Origin::Url).map(Warrant::Keys),
    }
}

/// Notes what is written twice, and warns of what is written in vain.
fn check_use(section: &Section<'_>, review: bool) {
    let is_file = section.has("jwks_file");
    if is_file && section.has("jwks_url") {
        section.note("jwks_file", "both 'jwks_url' and 'jwks_file' are given", "keep one of them");
    }
    let (vain, why): (&[&str], _) = match (review, is_file) {
        (true, _) => (&["jwks_url", "jwks_file"], "the API server is asked (token_review), and no keys are needed"),
        (false, true) => (&["api_server", "ca_file", "token_file"], "the keys come from a file, and nobody is asked"),
        (false, false) => (&["api_server"], "the API server is not asked without token_review"),
    };
    for key in vain.iter().filter(|key| section.has(key)) {
        section.warn(key, why, "remove it");
    }
}

/// Where the key set lies, if a file with one is written; none within for one that cannot be used.
fn key_file(section: &mut Section<'_>, surroundings: Surroundings<'_>) -> Option<Option<PathBuf>> {
    if !section.has("jwks_file") {
        // Asked for, so that it is known where it is misspelled; and so are those below.
        section.optional("jwks_file", text);
        return None;
    }
    let path = section.peek("jwks_file").map(|path| surroundings.path(&path));
    let document = surroundings.bytes(section, "jwks_file", "name the file with the cluster's key set");
    let unfit = |malformed: Malformed| {
        section.note("jwks_file", malformed.to_string(), "write there what the cluster's /openid/v1/jwks answers");
    };
    let keys = document.and_then(|document| key::parse(&document).map_err(unfit).ok());
    Some(keys.and(path))
}

fn endpoint(
    section: &mut Section<'_>,
    service: Service,
    url: Url,
    surroundings: Surroundings<'_>,
    pod: &Path,
) -> Option<Endpoint> {
    // The pod's own token opens its own cluster, and is shown to nobody else.
    let pod = is_own_cluster(&url).then_some(pod);
    let token_file = token_file(section, surroundings, pod);
    let roots = surroundings.system.or(authorities(section, surroundings, pod));
    let (loopback, reach) = (is_loopback(&url), Reach::Authority);
    let unusable = |fault: Fault| {
        let why = fault.inward().unwrap_or("no TLS client can be made").to_owned();
        section.note("ca_file", why, "name a PEM file of CA certificates, or install the system's");
    };
    let wire = Wire::new(Trust { roots, connect_timeout: CONNECT_TIMEOUT, proxy: None, loopback, reach });
    Some(Endpoint { service, url, token_file, wire: wire.map_err(unusable).ok()? })
}

fn token_file(section: &mut Section<'_>, surroundings: Surroundings<'_>, pod: Option<&Path>) -> Option<PathBuf> {
    if !section.has("token_file") {
        section.optional("token_file", text);
        return pod.map(|pod| pod.join("token")).filter(|path| path.exists());
    }
    let path = section.optional("token_file", text).map(|written| surroundings.path(&written))?;
    if !path.exists() {
        let remedy = "check the path; the file is read for each request, and may still come";
        section.warn("token_file", "the file is not there now", remedy);
    }
    Some(path)
}

/// Who signed the certificate at the other end.
fn authorities(
    section: &mut Section<'_>,
    surroundings: Surroundings<'_>,
    pod: Option<&Path>,
) -> Option<Vec<Certificate>> {
    if section.has("ca_file") {
        return roots(section, surroundings).map(|(roots, _)| roots);
    }
    section.optional("ca_file", text);
    let pem = file::read(&pod?.join("ca.crt"), file::MOST).ok()?;
    Certificate::from_pem_bundle(&pem).ok().filter(|roots| !roots.is_empty())
}

/// Where an API server takes reviews.
fn reviews(mut server: Url) -> Url {
    let path = format!("{}/apis/authentication.k8s.io/v1/tokenreviews", server.path().trim_end_matches('/'));
    server.set_path(&path);
    server
}

fn is_own_cluster(url: &Url) -> bool {
    matches!(url.host(), Some(Host::Domain(name)) if OWN_NAMES.contains(&name))
}

fn issuer(text: &str) -> Result<String, Malformed> {
    if text == LEGACY_ISSUER {
        return Err(Malformed("this is the issuer of legacy tokens, which legacy_tokens = true admits beside others"));
    }
    word(text)
}

fn word(text: &str) -> Result<String, Malformed> {
    let fits = (1..=1024).contains(&text.len()) && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if fits { Ok(text.to_owned()) } else { Err(Malformed("this has no blanks and at most 1024 bytes")) }
}

fn place(text: &str) -> Result<Url, Malformed> {
    let plain = |url: &Url| {
        is_confidential(url) && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
    };
    Url::parse(text).ok().filter(plain).ok_or(Malformed("this is an https URL, or an http one on this machine"))
}

/// Where a pod finds its own token and its cluster's certificates.
pub const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// What `[kubernetes]` has.
pub const KEYS: &[Key] = &[
    Key::required(
        "issuer",
        "the cluster's issuer, as `iss` of its tokens has it: `kubectl get --raw /.well-known/openid-configuration` \
         tells",
    ),
    Key::required(
        "audience",
        "a list; a token that is meant for any of these is for this service. Choose one of your own, such as \
         `[\"api://bursar\"]`: with the API server's, every pod's default token would do",
    ),
    Key::text(
        "jwks_url",
        "https://kubernetes.default.svc/openid/v1/jwks",
        "where the cluster publishes its keys; https, or http on this machine",
    ),
    Key::optional("jwks_file", "a file with the same JSON Web Key Set, instead of a URL"),
    Key::said("ca_file", "the pod's, else the system's", "PEM certificates to trust at the URL"),
    Key::said(
        "token_file",
        "the pod's, else none",
        "the file with Bursar's own token for the URL, read for each request since it rotates",
    ),
    Key::value(
        "token_review",
        "false",
        "have the API server review each token instead of verifying it with the cluster's keys",
    ),
    Key::text("api_server", "https://kubernetes.default.svc", "where reviews are asked for"),
    Key::value(
        "legacy_tokens",
        "false",
        "accept the tokens in Secrets as well, which are for no audience and never end",
    ),
];
const OWN_NAMES: [&str; 3] = ["kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
