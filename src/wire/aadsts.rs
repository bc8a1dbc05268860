//! What Entra's error numbers mean for whoever has to act.
//!
//! Microsoft says that the numbers may change, so status and `error` decide where a number is not
//! listed (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).

use crate::fault::Kind;

/// The kind of failure and the remedy of a known number.
#[must_use]
pub fn known(number: u32) -> Option<(Kind, &'static str)> {
    ROWS.iter().find(|(numbers, _, _)| numbers.contains(&number)).map(|(_, kind, remedy)| (*kind, *remedy))
}

const ROWS: &[(&[u32], Kind, &str)] = &[
    // The credential.
    (
        &[7_000_215],
        Kind::RejectedCredential,
        "the client secret is wrong: configure the value of a secret of this application, not the id of one",
    ),
    (&[7_000_222], Kind::RejectedCredential, "the client secret has expired: create a new one and configure it"),
    (
        &[700_027],
        Kind::RejectedCredential,
        "the certificate's signature was not accepted: register this certificate with the application",
    ),
    (
        &[700_024],
        Kind::RejectedCredential,
        "the assertion is outside its time: check this machine's clock, and that the assertion file is renewed",
    ),
    (&[700_023], Kind::RejectedCredential, "the assertion has the wrong audience: check the tenant's authority"),
    (&[7_000_218], Kind::RejectedCredential, "the authority wants a credential: configure one for the identity"),
    (
        &[50_027],
        Kind::RejectedCredential,
        "the assertion is no token that the authority can read: check the assertion file",
    ),
    (
        &[70_021, 700_211, 700_212, 700_213],
        Kind::RejectedCredential,
        "no federated credential of the application matches the assertion: compare issuer, subject and audience",
    ),
    // The directory.
    (
        &[700_016, 7_000_229],
        Kind::Misconfigured,
        "the application is not in this tenant: check client_id and tenant, and create its service principal",
    ),
    (&[7_000_112], Kind::Misconfigured, "the application is disabled: enable it in the directory"),
    (&[90_002, 900_023, 90_019], Kind::Misconfigured, "the tenant does not exist: check the tenant's 'id'"),
    (&[50_049], Kind::Misconfigured, "the authority's host is unknown: check it, or set 'instance_discovery = false'"),
    (&[65_001, 50_105], Kind::Misconfigured, "grant the application the consent or the assignment that it lacks"),
    (&[53_003, 50_076, 50_079], Kind::Misconfigured, "a conditional access policy blocks the application: adapt it"),
    // The request.
    (&[500_011, 50_001], Kind::InvalidRequest, "ask for a resource whose application exists in the tenant"),
    (&[70_011, 1_002_012], Kind::InvalidRequest, "ask for a resource by its App ID URI"),
    (&[900_144, 500_207], Kind::InvalidRequest, "ask for a resource that this kind of application can use"),
    // The authority itself.
    (
        &[50_196, 90_055],
        Kind::Throttled,
        "ask again in a moment; if it goes on, the operator should ask the directory's owner for its limits",
    ),
    (
        &[90_033, 90_012, 90_006, 50_000, 90_036],
        Kind::Unavailable,
        "ask again in a moment; the trouble is a passing one",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_in_one_row() {
        let mut numbers: Vec<u32> = ROWS.iter().flat_map(|(numbers, _, _)| numbers.iter().copied()).collect();
        let all = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
    }
}
