//! What the headers of a request say, as far as anything here asks for it.

/// The headers that mean something, each as the first of its name holds it. No `Debug`: secrets are among them.
///
/// They are sorted in one pass, since looking each up in a map costs more than all the rest of reading a request.
#[derive(Clone, Copy, Default)]
pub struct Headers<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Host`.
    pub host: Option<&'a [u8]>,
    /// `Metadata`.
    pub metadata: Option<&'a [u8]>,
    /// `X-IDENTITY-HEADER`, where App Service 2019-08-01 wants its secret.
    pub identity_header: Option<&'a [u8]>,
    /// `Secret`, where App Service 2017-09-01 and Service Fabric want it.
    pub secret: Option<&'a [u8]>,
    /// `x-ms-client-request-id`.
    pub request_id: Option<&'a [u8]>,
    /// `client-request-id`, as some clients call the same.
    pub plain_request_id: Option<&'a [u8]>,
    /// The mark of requests that this service sends itself.
    pub mark: Option<&'a [u8]>,
    /// Whether a proxy has added one of its own.
    pub is_forwarded: bool,
}

impl<'a> Headers<'a> {
    /// Sorts headers by their lower-case names.
    #[must_use]
    pub fn of(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut found = Self::default();
        for (name, value) in headers {
            found.note(name, value);
        }
        found
    }

    fn note(&mut self, name: &str, value: &'a [u8]) {
        let place = match name {
            "authorization" => &mut self.authorization,
            "content-type" => &mut self.content_type,
            "host" => &mut self.host,
            "metadata" => &mut self.metadata,
            IDENTITY_HEADER => &mut self.identity_header,
            SECRET => &mut self.secret,
            "x-ms-client-request-id" => &mut self.request_id,
            "client-request-id" => &mut self.plain_request_id,
            MARK => &mut self.mark,
            "x-forwarded-for" | "forwarded" | "via" => {
                self.is_forwarded = true;
                return;
            }
            _ => return,
        };
        place.get_or_insert(value);
    }
}

/// App Service 2019-08-01 wants its secret here.
pub const IDENTITY_HEADER: &str = "x-identity-header";
/// App Service 2017-09-01 and Service Fabric want it here.
pub const SECRET: &str = "secret";
/// This service marks its own requests with it, to know them when they come back to it.
pub const MARK: &str = "x-bursar-instance";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_header_is_found_by_its_name_and_the_first_counts() {
        let names = [
            "authorization",
            "content-type",
            "host",
            "metadata",
            IDENTITY_HEADER,
            SECRET,
            "x-ms-client-request-id",
            "client-request-id",
            MARK,
        ];
        for (n, name) in names.into_iter().enumerate() {
            let found = Headers::of([("accept", &b"none"[..]), (name, b"first"), (name, b"second")]);
            let Headers { authorization, content_type, host, metadata, identity_header, secret, .. } = found;
            let Headers { request_id, plain_request_id, mark, is_forwarded, .. } = found;
            let all = [authorization, content_type, host, metadata, identity_header, secret];
            let all = [&all[..], &[request_id, plain_request_id, mark]].concat();
            assert!(!is_forwarded, "{name}");
            for (m, value) in all.into_iter().enumerate() {
                assert_eq!(value, (n == m).then_some(&b"first"[..]), "{name}");
            }
        }
    }

    #[test]
    fn what_a_proxy_adds_is_noticed() {
        for (name, is_forwarded) in [("x-forwarded-for", true), ("forwarded", true), ("via", true), ("viable", false)] {
            assert_eq!(Headers::of([(name, &b""[..])]).is_forwarded, is_forwarded, "{name}");
        }
    }
}
