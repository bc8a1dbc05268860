//! Reads `[metadata]`: what instance metadata tells of this machine.

use std::convert::Infallible;

use super::key::Key;
use super::secret::Surroundings;
use super::section::Section;
use crate::authority::region::Region;
use crate::dialect::instance::{Instance, Unfit};

/// The document in the file, or without one what is told of a machine that nobody described. It is for nobody unless
/// its pages are served.
pub fn read(mut section: Section<'_>, has_pages: bool, surroundings: Surroundings<'_>) -> Instance {
    if section.has("file") && !has_pages {
        section.warn("file", "no dialect that is served has pages that show it", "serve imds too, or remove the key");
    }
    let document = section.has("file").then(|| {
        let text = surroundings.bytes(&mut section, "file", "name the JSON file with the document")?;
        Instance::parse(&text).map_err(|unfit| section.note("file", unfit.to_string(), remedy(&unfit))).ok()
    });
    if document.is_none() {
        // Asked for, so that it is known where it is misspelled.
        section.optional("file", |_| Ok::<_, Infallible>(()));
    }
    section.end();
    document.flatten().unwrap_or_else(|| Instance::nameless(&location(surroundings)))
}

const fn remedy(unfit: &Unfit) -> &'static str {
    match unfit {
        Unfit::Number(_) => "write it in quotes, as the real service does with its numbers",
        Unfit::Shape(_) | Unfit::Syntax(_) => {
            "write a JSON object as /metadata/instance shows it, with an object 'compute'"
        }
    }
}

/// The region that the variable of App Service and the SDKs names, perhaps as people write it: `West Europe`.
fn location(surroundings: Surroundings<'_>) -> String {
    let name = surroundings.variables.get("REGION_NAME").map(|name| name.replace(' ', "").to_ascii_lowercase());
    name.filter(|name| Region::parse(name).is_ok()).unwrap_or_default()
}

/// What `[metadata]` has.
pub const KEYS: &[Key] = &[Key::said(
    "file",
    "a machine called `bursar`",
    "a JSON file with what `/metadata/instance` tells of this machine, where `imds` is served: an object with an \
         object `compute`, usually also `network`. Fractions and numbers beyond 64 bits would not be kept as they are \
         and are mistakes: write them as texts. It is public to whoever reaches the listener. Without it every value \
         is a sample, and `location` is what the variable `REGION_NAME` says, else empty, so that no client takes an \
         invented region for its own",
)];
