//! Distinguished names as text, as RFC 4514 writes them (<https://www.rfc-editor.org/rfc/rfc4514#section-2>). No two
//! names have the same text.

use std::fmt::Write;

use x509_parser::asn1_rs::ToDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// The text: the last part first, `CN=billing,OU=shop,O=corp`.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> =
        name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    parts.reverse();
    parts.join(",")
}

/// Attributes without a name in the RFC's table have their number, and their value in hex.
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    match NAMES.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => match attribute.as_str() {
            Ok(value) => format!("{name}={}", escaped(value)),
            Err(_) => format!("{name}={}", hex(attribute)),
        },
        None => format!("{number}={}", hex(attribute)),
    }
}

fn hex(attribute: &AttributeTypeAndValue<'_>) -> String {
    // Writing into a vector fails for no value that was just read.
    let value = attribute.attr_value().to_der_vec().unwrap_or_default();
    value.iter().fold("#".to_owned(), |mut text, byte| {
        write!(text, "{byte:02X}").ok();
        text
    })
}

fn escaped(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        let is_edge = at == 0 && matches!(c, ' ' | '#') || at == last && c == ' ';
        if is_edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            text.push('\\');
        }
        if c.is_ascii_control() {
            write!(text, "\\{:02X}", u32::from(c)).ok();
        } else {
            text.push(c);
        }
    }
    text
}

/// The table of RFC 4514, section 3.
const NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn written(parts: &[(DnType, DnValue)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let (_, parsed) = X509Certificate::from_der(certificate.der()).unwrap();
        distinguished_name(parsed.subject())
    }

    #[test]
    fn names_are_written_from_their_end_and_mean_one_thing() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        let cn = |value: &str| written(&[(DnType::CommonName, text(value))]);
        let whole = [
            (DnType::CountryName, DnValue::PrintableString("DE".try_into().unwrap())),
            (DnType::OrganizationName, text("corp, inc")),
            (DnType::CommonName, text("billing")),
        ];
        assert_eq!(written(&whole), "CN=billing,O=corp\\, inc,C=DE");
        assert_eq!(written(&[]), "");
        for (value, shown) in [
            ("a,O=b", "CN=a\\,O=b"),
            ("a+b", "CN=a\\+b"),
            (" a ", "CN=\\ a\\ "),
            (" ", "CN=\\ "),
            ("#a#", "CN=\\#a#"),
            ("a\\", "CN=a\\\\"),
            ("\"<>;", "CN=\\\"\\<\\>\\;"),
            ("a\nb\0", "CN=a\\0Ab\\00"),
            ("Lučić=*", "CN=Lučić=*"),
        ] {
            assert_eq!(cn(value), shown);
        }
        let other = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        assert_eq!(written(&[(other, text("a@b"))]), "1.2.840.113549.1.9.1=#0C03614062");
        let wide = DnValue::BmpString("ab".try_into().unwrap());
        assert_eq!(written(&[(DnType::CommonName, wide)]), "CN=#1E0400610062");
    }
}
