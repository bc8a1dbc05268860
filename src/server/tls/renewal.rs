//! The files of what https listeners show, which are read again when they change.

use std::fmt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::client::ClientCa;
use super::{Shown, Tls};
use crate::credential::file;
use crate::credential::sight::{Lookout, Sight};
use crate::fault::{Fault, Kind};

/// Where the certificate lies, its key, and who vouches for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CA of clients, where they are asked for a certificate.
    pub client_ca: Option<PathBuf>,
}

/// Looks for a new certificate, and shows it.
#[derive(Debug)]
pub struct Renewal {
    files: Files,
    shown: Shown,
    present: Sight,
    /// Whether the files were of no use the last time.
    is_broken: bool,
    lookout: Lookout,
}

/// What became of the files since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// They were of no use, and hold what is shown again.
    Back,
    /// They hold something else, which is shown from now on.
    New,
    /// Nothing.
    None,
}

/// What the files hold, as it was read.
struct Contents {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Zeroizing<Vec<u8>>>,
}

impl Renewal {
    /// Looks at `files`, of which what they held at `sight` is `shown`.
    #[must_use]
    pub fn new(files: Files, sight: Sight, shown: Shown) -> Self {
        Self { files, shown, present: sight, is_broken: false, lookout: Lookout::default() }
    }

    /// Where a new one would appear.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [Some(&self.files.certificate), Some(&self.files.key), self.files.client_ca.as_ref()];
        files.into_iter().flatten().map(PathBuf::as_path)
    }

    /// Reads the files, and shows what is new in them from the next connection on; says whether there was something.
    /// They are replaced one after the other, so what does not fit together yet is looked at again each time.
    ///
    /// # Errors
    /// They hold nothing that can be shown; the old certificate stays. Each state of them is told about once.
    pub fn look(&mut self) -> Result<Change, Fault> {
        let Self { files, shown, present, is_broken, lookout } = self;
        let mut is_shown = false;
        let looked = lookout.look(|| match files.contents() {
            Ok(contents) => {
                let sight = contents.sight();
                is_shown = sight == *present;
                if is_shown {
                    return (sight, Ok(false));
                }
                let taken = files.tls(&contents).map(|tls| {
                    shown.replace(tls);
                    *present = sight;
                    true
                });
                (sight, taken.map_err(|why| files.broken(&why)))
            }
            Err(why) => (Sight::of(&[Some(why.as_bytes())]), Err(files.broken(&why))),
        });
        match looked {
            Err(fault) => {
                *is_broken = true;
                Err(fault)
            }
            Ok(true) => {
                *is_broken = false;
                Ok(Change::New)
            }
            Ok(false) if is_shown && std::mem::take(is_broken) => Ok(Change::Back),
            Ok(false) => Ok(Change::None),
        }
    }
}

impl Files {
    /// Reads every file, or says which one cannot be read.
    fn contents(&self) -> Result<Contents, String> {
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn broken(&self, why: &str) -> Fault {
        let problem =
            "the files of the listeners' certificate changed and cannot be used; the old certificate stays in use";
        let remedy = "mend the files of 'server.tls'";
        Fault::new(Kind::Misconfigured, problem, remedy).with_inward(why.to_owned())
    }

    /// What is to be shown of what they hold, or which of them is wrong.
    fn tls(&self, contents: &Contents) -> Result<Tls, String> {
        let told = |path: Option<&PathBuf>, why: &dyn fmt::Display| {
            format!("{}: {why}", path.unwrap_or(&self.certificate).display())
        };
        let clients = contents.client_ca.as_ref().map(|ca| ClientCa::from_pem(ca)).transpose();
        let clients = clients.map_err(|malformed| told(self.client_ca.as_ref(), &malformed))?;
        let tls = Tls::from_pem(&contents.certificate, &contents.key, clients.as_ref());
        tls.map_err(|unfit| told(None, &unfit))
    }
}

impl Contents {
    fn sight(&self) -> Sight {
        sight(&self.certificate, &self.key, self.client_ca.as_ref().map(|ca| &ca[..]))
    }
}

/// What the three look like.
#[must_use]
pub fn sight(certificate: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> Sight {
    Sight::of(&[Some(certificate), Some(key), client_ca])
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    file::read(path, file::MOST).map_err(|error| format!("{}: {error}", path.display()))
}
