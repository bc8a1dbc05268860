//! Reads `[metadata]`: what instance metadata tells of this machine.

use super::secret::Surroundings;
use super::section::Section;
use crate::authority::region::Region;
use crate::dialect::instance::Instance;

/// The document in the file, or without one what is told of a machine that nobody described.
pub fn read(mut section: Section<'_>, surroundings: Surroundings<'_>) -> Instance {
    let remedy = "write a JSON object as /metadata/instance shows it, with an object 'compute'";
    let document = section.has("file").then(|| {
        let text = surroundings.bytes(&mut section, "file", "name the JSON file with the document")?;
        Instance::parse(&text).map_err(|malformed| section.note("file", malformed.to_string(), remedy)).ok()
    });
    if document.is_none() {
        // Asked for, so that it is known where it is misspelled.
        section.optional("file", |_| Ok(()));
    }
    section.end();
    document.flatten().unwrap_or_else(|| Instance::nameless(&location(surroundings)))
}

/// The region that the variable of App Service and the SDKs names, perhaps as people write it: `West Europe`.
fn location(surroundings: Surroundings<'_>) -> String {
    let name = surroundings.variables.get("REGION_NAME").map(|name| name.replace(' ', "").to_ascii_lowercase());
    name.filter(|name| Region::parse(name).is_ok()).unwrap_or_default()
}
