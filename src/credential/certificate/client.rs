//! The certificate of a client: the one in use, and the files in which the next one appears.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use super::unfit::Unfit;
use super::{Certificate, Files, Signing};
use crate::clock::Timestamp;
use crate::credential::secret::one_line;
use crate::credential::sight::{Lookout, Sight};
use crate::credential::{Occasion, file};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::wire::request::ClientProof;

/// A certificate that is replaced when its files are.
#[derive(Debug)]
pub struct ClientCertificate {
    present: ArcSwap<Present>,
    origin: Origin,
    generation: AtomicU64,
    lookout: Lookout,
}

/// Where a certificate comes from, and how it is used.
#[derive(Debug)]
pub struct Origin {
    /// The file with the certificate, perhaps its chain, perhaps its key.
    pub file: PathBuf,
    /// The file with the key, if it has one of its own.
    pub key: Option<PathBuf>,
    /// What opens the key.
    pub passphrase: Option<Passphrase>,
    /// How its assertions are made.
    pub signing: Signing,
}

/// What opens a key.
#[derive(Debug)]
pub enum Passphrase {
    /// The line in a file, which may change with the key.
    File(PathBuf),
    /// A text that stays.
    Given(Secret),
}

#[derive(Debug)]
struct Present {
    certificate: Certificate,
    sight: Sight,
}

/// What the files hold now.
struct Contents {
    file: Zeroizing<Vec<u8>>,
    key: Option<Zeroizing<Vec<u8>>>,
    passphrase: Option<Secret>,
}

impl ClientCertificate {
    /// Reads what the files of `origin` hold, as `files`.
    ///
    /// # Errors
    /// As [`Certificate::read`].
    pub fn read(origin: Origin, files: Files<'_>, now: Timestamp) -> Result<Self, Unfit> {
        let present = Present { certificate: origin.certificate(files, now)?, sight: sight(files) };
        Ok(Self {
            present: ArcSwap::from_pointee(present),
            origin,
            generation: AtomicU64::default(),
            lookout: Lookout::default(),
        })
    }

    /// Until when the present one holds.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.present.load().certificate.not_after()
    }

    /// Where a new one would appear.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let passphrase = match &self.origin.passphrase {
            Some(Passphrase::File(path)) => Some(path),
            Some(Passphrase::Given(_)) | None => None,
        };
        [Some(&self.origin.file), self.origin.key.as_ref(), passphrase]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect()
    }

    /// How often a new one was taken.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Reads the files again, and takes a new certificate, which must hold `now`. Files are replaced one after
    /// the other, so what does not fit together yet is looked at again each time.
    ///
    /// # Errors
    /// What they hold is no certificate with its key; the old one stays. Each state of them is told about once.
    pub fn reload(&self, now: Timestamp) -> Result<(), Fault> {
        self.lookout.look(|| match self.origin.contents() {
            Ok(contents) => {
                let sight = sight(contents.files());
                let is_new = self.present.load().sight != sight;
                (sight, if is_new { self.take(contents.files(), sight, now) } else { Ok(()) })
            }
            Err(why) => (Sight::of(&[Some(why.as_bytes())]), Err(self.broken("mend the file", &why))),
        })
    }

    /// Signs an assertion for one request.
    ///
    /// # Errors
    /// As [`Certificate::prove`].
    pub fn prove(&self, occasion: &Occasion<'_>) -> Result<ClientProof, Fault> {
        self.present.load().certificate.prove(occasion)
    }

    fn take(&self, files: Files<'_>, sight: Sight, now: Timestamp) -> Result<(), Fault> {
        let certificate = self.origin.certificate(files, now);
        let certificate = certificate.map_err(|unfit| self.broken(unfit.remedy, &unfit.problem))?;
        self.present.store(Arc::new(Present { certificate, sight }));
        self.generation.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn broken(&self, remedy: &'static str, why: &str) -> Fault {
        let problem = "the files of a certificate changed and cannot be used; the old certificate stays in use";
        Fault::new(Kind::UnusableCredential, problem, remedy)
            .with_inward(format!("{}: {why}", self.origin.file.display()))
    }
}

impl Origin {
    fn certificate(&self, files: Files<'_>, now: Timestamp) -> Result<Certificate, Unfit> {
        Certificate::read(files, self.signing.clone(), now)
    }

    /// Reads every file, or says which one cannot be read.
    fn contents(&self) -> Result<Contents, String> {
        Ok(Contents {
            file: read(&self.file)?,
            key: self.key.as_deref().map(read).transpose()?,
            passphrase: self.passphrase.as_ref().map(Passphrase::read).transpose()?,
        })
    }
}

impl Passphrase {
    fn read(&self) -> Result<Secret, String> {
        match self {
            Self::File(path) => {
                let bytes = read(path)?;
                one_line(&String::from_utf8_lossy(&bytes))
                    .map_err(|malformed| format!("{}: {malformed}", path.display()))
            }
            Self::Given(secret) => Ok(secret.clone()),
        }
    }
}

impl Contents {
    fn files(&self) -> Files<'_> {
        Files { file: &self.file, key: self.key.as_ref().map(|key| &key[..]), passphrase: self.passphrase.as_ref() }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let told = |error: io::Error| format!("{}: {error}", path.display());
    file::read(path, file::MOST).map_err(told)
}

fn sight(files: Files<'_>) -> Sight {
    Sight::of(&[Some(files.file), files.key, files.passphrase.map(|passphrase| passphrase.expose().as_bytes())])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn issued(from: i32, until: i32) -> (String, String) {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["app".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_new_pair_is_taken_when_it_is_whole_and_what_is_broken_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        let ((first, first_key), (old, old_key)) = (issued(2020, 2040), issued(2020, 2026));
        let ((second, second_key), (early, early_key)) = (issued(2020, 2041), issued(2030, 2042));
        let origin =
            Origin { file: path("tls.crt"), key: Some(path("tls.key")), passphrase: None, signing: Signing::default() };
        write("tls.crt", &first);
        write("tls.key", &first_key);
        let files = Files { file: first.as_bytes(), key: Some(first_key.as_bytes()), passphrase: None };
        let certificate = ClientCertificate::read(origin, files, NOW).unwrap();
        assert_eq!(certificate.files(), [path("tls.crt"), path("tls.key")]);
        certificate.reload(NOW).unwrap();
        assert_eq!(certificate.generation(), 0, "the same is not new");

        let broken = |why: &str| {
            let fault = certificate.reload(NOW).unwrap_err();
            assert!(fault.inward().unwrap().contains(why), "{fault:?}");
            certificate.reload(NOW).unwrap();
            assert_eq!(certificate.generation(), 0);
        };
        write("tls.crt", &second);
        broken("belongs to none");
        write("tls.crt", "");
        broken("is empty");
        std::fs::remove_file(path("tls.crt")).unwrap();
        broken("No such file");
        write("tls.crt", &old);
        write("tls.key", &old_key);
        broken("expired at 2026");
        write("tls.crt", &early);
        write("tls.key", &early_key);
        broken("not valid before 2030");
        certificate.reload(Timestamp::from_secs(1_900_000_000)).unwrap();
        assert_eq!(certificate.generation(), 1, "what becomes valid is taken then");
        write("tls.crt", &second);
        write("tls.key", &second_key);
        certificate.reload(NOW).unwrap();
        assert_eq!(
            (certificate.generation(), certificate.not_after().to_string()),
            (2, "2041-01-01T00:00:00Z".to_owned())
        );
    }
}
