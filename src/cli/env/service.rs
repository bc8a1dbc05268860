//! The service that SDKs are pointed at: `bursar dev` as it was told, or what a configuration describes.

use super::reach::Reach;
use super::shell::Setting;
use super::thumbprint;
use crate::cli::Failure;
use crate::cli::dev::stage::Stage;
use crate::config::server::Server;
use crate::dialect::table::DIALECTS;
use crate::dialect::{Dialect, Guard};

/// What is known of it. No `Debug`: the text of a header secret may be in it.
pub struct Service {
    /// What it serves.
    pub served: Vec<&'static Dialect>,
    /// What it does not.
    pub absent: Vec<Absent>,
    /// Where it is reached.
    pub reach: Reach,
}

/// A dialect that is not served.
#[derive(Debug)]
pub struct Absent {
    dialect: &'static Dialect,
    problem: String,
    remedy: String,
}

impl Service {
    /// `bursar dev`, with this header secret.
    #[must_use]
    pub fn of_dev(stage: Stage<'_>, header_secret: Setting) -> Self {
        let absent = |dialect: &'static Dialect| {
            let lack = stage.lack(dialect)?;
            let problem = format!("is not served by 'bursar dev': {}", lack.problem);
            Some(Absent { dialect, problem, remedy: format!("{}, there and here", lack.remedy) })
        };
        Self {
            served: stage.dialects().collect(),
            absent: DIALECTS.iter().filter_map(absent).collect(),
            reach: Reach::new(stage.listen, Some(header_secret)),
        }
    }

    /// What a configuration describes, with this header secret, if it has one.
    #[must_use]
    pub fn configured(server: &Server, header_secret: Option<Setting>) -> Self {
        let is_absent = |dialect: &&Dialect| server.dialects.iter().all(|served| served.name != dialect.name);
        let absent = |dialect| Absent { dialect, problem: "is not served".to_owned(), remedy: remedy(dialect, server) };
        let thumbprint = server.tls.as_ref().map(|tls| tls.thumbprint().to_owned());
        Self {
            served: server.dialects.clone(),
            absent: DIALECTS.iter().filter(is_absent).map(absent).collect(),
            reach: Reach { thumbprint, ..Reach::new(&server.listen, header_secret) },
        }
    }

    /// Why this dialect is not served; none where it is.
    #[must_use]
    pub fn absence(&self, name: &str) -> Option<&Absent> {
        self.absent.iter().find(|absent| absent.dialect.name == name)
    }

    /// Finds out what pointing at `dialect` needs and only the running service knows.
    ///
    /// # Errors
    /// It does not run.
    pub async fn look_at(&mut self, dialect: &Dialect) -> Result<(), Failure> {
        if let (true, None, Some(base)) = (dialect.is_pinned(), &self.reach.thumbprint, &self.reach.tls_base) {
            self.reach.thumbprint = Some(thumbprint::of(base).await?);
        }
        Ok(())
    }
}

impl Absent {
    /// That it is not served, and what to do about it.
    #[must_use]
    pub fn told(&self) -> String {
        format!("{} {}; {}", self.dialect.name, self.problem, self.remedy)
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// All that has to be written for `dialect` to be served.
fn remedy(dialect: &Dialect, server: &Server) -> String {
    let mut steps = vec![format!("add \"{}\" to 'server.dialects'", dialect.name)];
    if dialect.guard.needs_secret() && server.header_secrets.is_empty() {
        steps.push("set 'server.header_secret'".to_owned());
    }
    if dialect.needs_tls && server.listen.iter().all(|listen| !listen.is_tls()) {
        steps.push("add \"https://127.0.0.1:4143\" to 'server.listen', since it is served over https alone".to_owned());
    }
    if dialect.guard == Guard::KeyFile {
        steps.push("make the directory that 'dialects.arc.key_dir' names".to_owned());
    }
    steps.join(", and ")
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::cli::env::shell::Setting;
    use crate::cli::named::listen;

    /// What a configuration with these dialects and listeners describes.
    pub(in crate::cli::env) fn configured(dialects: &[&str], listens: &[&str]) -> Service {
        let server = Server {
            listen: listens.iter().map(|text| listen(text).unwrap()).collect(),
            unix_mode: 0o660,
            tls: None,
            tls_files: None,
            admin_listen: listen("127.0.0.1:2").unwrap(),
            status_page: false,
            hosts: Vec::new(),
            dialects: DIALECTS.iter().filter(|dialect| dialects.contains(&dialect.name)).collect(),
            workers: None,
            header_secrets: Vec::new(),
            header_secret_origins: Vec::new(),
            allow_unauthenticated: false,
            drain: Duration::ZERO,
            proofs: crate::caller::Means::ALL.to_vec(),
        };
        Service::configured(&server, None)
    }

    #[test]
    fn whoever_has_a_configuration_is_told_what_to_write() {
        let served = configured(&["imds"], &["127.0.0.1:1"]);
        assert!(served.absence("imds").is_none());
        for (name, remedy) in [
            ("cloud-shell", "add \"cloud-shell\" to 'server.dialects'"),
            ("app-service", "add \"app-service\" to 'server.dialects', and set 'server.header_secret'"),
            (
                "service-fabric",
                "add \"service-fabric\" to 'server.dialects', and set 'server.header_secret', and add \"https://127.0.0.1:4143\" to 'server.listen', since it is served over https alone",
            ),
            ("arc", "add \"arc\" to 'server.dialects', and make the directory that 'dialects.arc.key_dir' names"),
        ] {
            assert_eq!(served.absence(name).unwrap().told(), format!("{name} is not served; {remedy}"));
        }
    }

    #[test]
    fn whoever_has_none_is_told_what_to_say() {
        let stage = Stage { listen: &[listen("127.0.0.1:1").unwrap()], arc_key_dir: Path::new("/nowhere/at/all") };
        let service = Service::of_dev(stage, Setting::Text(String::new()));
        let told: Vec<String> = service.absent.iter().map(Absent::told).collect();
        assert_eq!(
            told,
            [
                "arc is not served by 'bursar dev': there is no directory /nowhere/at/all; make it, or name another with --arc-key-dir, there and here",
                "service-fabric is not served by 'bursar dev': it is served over https alone, and there is no such listener; add --listen https://127.0.0.1:4143, there and here",
            ]
        );
        assert_eq!(service.served.len() + service.absent.len(), DIALECTS.len());
    }
}
