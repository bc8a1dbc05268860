//! Which dialect or page a request is for: by its path, then its method, then its version.
//!
//! Headers that a dialect wants come later, because a client that probes for other endpoints must see 404 and not 400.

use std::borrow::Cow;

use super::Dialect;
use super::page::Page;
use crate::fault::{Fault, Kind};

/// As much of a request as says what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it was sent.
    pub path: &'a str,
    /// The query, still percent-encoded.
    pub query: &'a str,
    /// Whether it came over TLS.
    pub is_tls: bool,
}

/// What a request is for.
#[derive(Debug)]
pub enum Route {
    /// A page of instance metadata.
    Page(Page),
    /// A token, in the words of this dialect.
    Token(&'static Dialect),
}

/// What is wrong with a request that is for neither.
#[derive(Debug)]
pub struct Astray {
    /// The fault.
    pub fault: Fault,
    /// The methods that the path takes, where it is the method.
    pub allow: Option<String>,
}

impl From<Fault> for Astray {
    fn from(fault: Fault) -> Self {
        Self { fault, allow: None }
    }
}

impl Target<'_> {
    /// What the request is for, where these dialects are served.
    ///
    /// # Errors
    /// Nothing is at the path, or it takes other methods.
    pub fn route(self, served: &[&'static Dialect]) -> Result<Route, Astray> {
        let path = plain(self.path);
        let is_here = |dialect: &&Dialect| dialect.paths.contains(&&*path) && (self.is_tls || !dialect.needs_tls);
        let here = || served.iter().copied().filter(is_here);
        let mut fitting = here().filter(|dialect| takes(dialect, self.method));
        match (fitting.next(), fitting.next()) {
            (Some(first), None) => Ok(Route::Token(first)),
            // Contracts that share a path and a method are told apart by their versions.
            (Some(first), Some(second)) => {
                Ok(Route::Token(if second.takes_version(self.query) { second } else { first }))
            }
            (None, _) if here().next().is_some() => Err(wrong_method(here())),
            (None, _) => {
                let page = Page::at(&path).filter(|_| served.iter().any(|dialect| dialect.has_pages));
                page.map(Route::Page).ok_or_else(|| self.nothing_there(&path, served).into())
            }
        }
    }

    fn nothing_there(self, path: &str, served: &[&Dialect]) -> Fault {
        if served.iter().any(|dialect| dialect.needs_tls && dialect.paths.contains(&path)) {
            let remedy = "ask the https listener, as 'bursar env' prints it";
            return Fault::new(Kind::NotFound, "this path is served over https alone", remedy);
        }
        let here = served.iter().filter(|dialect| self.is_tls || !dialect.needs_tls);
        let mut paths: Vec<&str> = here.flat_map(|dialect| dialect.paths).copied().collect();
        paths.sort_unstable();
        paths.dedup();
        let remedy = match paths[..] {
            [] => "ask the https listener: all that is served is served there".to_owned(),
            _ => format!("ask for a token at {}", paths.join(" or ")),
        };
        Fault::new(Kind::NotFound, "there is nothing at this path", remedy)
    }
}

fn takes(dialect: &Dialect, method: &str) -> bool {
    dialect.methods.iter().any(|taken| taken.as_str() == method)
}

fn wrong_method<'a>(here: impl Iterator<Item = &'a Dialect>) -> Astray {
    let mut methods: Vec<&str> = here.flat_map(|dialect| dialect.methods).map(|method| method.as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    let remedy = format!("send a {}", methods.join(" or a "));
    let fault = Fault::new(Kind::MethodNotAllowed, format!("this path takes {}", methods.join(" and ")), remedy);
    Astray { fault, allow: Some(methods.join(", ")) }
}

/// The path without doubled and trailing slashes, which several clients send.
fn plain(path: &str) -> Cow<'_, str> {
    if !path.contains("//") && !path.ends_with('/') {
        return Cow::Borrowed(path);
    }
    let mut plain = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        plain.push('/');
        plain.push_str(part);
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::table::DIALECTS;

    /// The name of the dialect, the page, or the status.
    fn route(method: &str, target: &str, is_tls: bool) -> String {
        let served: Vec<_> = DIALECTS.iter().collect();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match (Target { method, path, query, is_tls }).route(&served) {
            Ok(Route::Token(dialect)) => dialect.name.to_owned(),
            Ok(Route::Page(page)) => format!("{page:?}"),
            Err(astray) => astray.allow.unwrap_or_else(|| astray.fault.status().to_string()),
        }
    }

    #[test]
    fn path_method_and_version_say_what_a_request_is_for() {
        for (method, target, meant) in [
            ("GET", "/token", "native"),
            ("GET", "/metadata/identity/oauth2/token", "imds"),
            ("GET", "/metadata/identity/oauth2/token?api-version=2017-01-01", "imds"),
            ("POST", "/metadata/identity/oauth2/token?api-version=2018-02-01", "cloud-shell"),
            ("GET", "/oauth2/token", "cloud-shell"),
            ("GET", "/msi/token", "app-service"),
            ("GET", "/msi/token?api-version=2017-09-01", "app-service-2017"),
            ("GET", "/msi/token?api-version=2017-09-01&api-version=2019-08-01", "app-service"),
            ("GET", "/arc/token", "arc"),
            ("GET", "/metadata/versions", "Versions"),
            ("GET", "/metadata/instance/compute/", r#"Instance("compute")"#),
            ("DELETE", "/metadata/versions", "Versions"),
            ("DELETE", "/metadata/identity/oauth2/token", "GET, POST"),
            ("HEAD", "/token", "GET"),
            ("get", "/token", "GET"),
            ("GET", "/fabric/token", "404"),
            ("GET", "/Token", "404"),
            ("GET", "/", "404"),
            ("GET", "", "404"),
            ("GET", "/metadata/attested/document", "404"),
        ] {
            assert_eq!(route(method, target, false), meant, "{method} {target}");
        }
        assert_eq!(route("GET", "/fabric/token", true), "service-fabric");
        assert_eq!(route("GET", "/token", true), "native");
    }

    #[test]
    fn only_what_is_served_is_there() {
        let imds: Vec<_> = DIALECTS.iter().filter(|dialect| dialect.name == "imds").collect();
        let native: Vec<_> = DIALECTS.iter().filter(|dialect| dialect.name == "native").collect();
        let at = |path| Target { method: "GET", path, query: "", is_tls: true };
        assert!(at("/token").route(&imds).is_err() && at("/token").route(&native).is_ok());
        assert!(at("/metadata/versions").route(&imds).is_ok() && at("/metadata/versions").route(&native).is_err());
        assert!(at("/token").route(&[]).is_err());
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let named = |name: &str| DIALECTS.iter().find(|dialect| dialect.name == name).unwrap();
        let (arc, fabric) = (named("arc"), named("service-fabric"));
        for (served, path, is_tls, told) in [
            (&[arc, fabric][..], "/fabric/token", false, "served over https alone"),
            (&[arc, fabric], "/fabric/token/", false, "served over https alone"),
            (&[arc], "/fabric/token", false, "nothing at this path. For the caller: ask for a token at /arc/token."),
            (&[arc, fabric], "/x", false, "ask for a token at /arc/token."),
            (&[arc, fabric], "/x", true, "ask for a token at /arc/token or /fabric/token."),
            (&[fabric], "/x", false, "ask the https listener"),
        ] {
            let astray = Target { method: "GET", path, query: "", is_tls }.route(served).unwrap_err();
            let fault = astray.fault.to_string();
            assert!(astray.fault.status() == 404 && fault.contains(told), "{path} {is_tls}: {fault}");
        }
    }

    #[test]
    fn slashes_that_clients_add_are_taken_away() {
        for (sent, meant) in [
            ("/token", "/token"),
            ("/token/", "/token"),
            ("//metadata/identity/oauth2/token", "/metadata/identity/oauth2/token"),
            ("/metadata//identity/oauth2/token//", "/metadata/identity/oauth2/token"),
            ("/", ""),
            ("/Token", "/Token"),
        ] {
            assert_eq!(plain(sent), meant);
        }
    }
}
