//! Requests as callers, clients and attackers write them: in every dialect, with every spelling of what the
//! configuration names, and of what looks like it.

#![expect(unreachable_pub, reason = "it is a part of one test file")]

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::expected::{Cell, Example, secret_of};

/// A request, as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Request {
    dialect: Spoken,
    /// What `X-IDENTITY-HEADER` and `Secret` hold.
    headers: [Option<String>; 2],
    /// Names and values, encoded.
    parameters: Vec<(String, String)>,
}

/// A dialect, and how it is asked.
#[derive(Clone, Copy, Debug)]
struct Spoken {
    path: &'static str,
    version: &'static str,
    is_post: bool,
    needs: Option<usize>,
}

const SPOKEN: [Spoken; 6] = [
    Spoken { path: "/token", version: "", is_post: false, needs: None },
    Spoken { path: "/token", version: "2018-02-01", is_post: false, needs: None },
    Spoken { path: "/metadata/identity/oauth2/token", version: "2018-02-01", is_post: false, needs: None },
    Spoken { path: "/oauth2/token", version: "", is_post: true, needs: None },
    Spoken { path: "/msi/token", version: "2019-08-01", is_post: false, needs: Some(0) },
    Spoken { path: "/msi/token", version: "2017-09-01", is_post: false, needs: Some(1) },
];

impl Request {
    /// The plainest request for a cell.
    pub fn for_cell(example: &Example, cell: &Cell) -> Self {
        let secret = example.secrets.iter().find(|(caller, _)| *caller == cell.caller);
        let mut parameters = vec![
            ("resource".to_owned(), Example::meant(example.resources, cell.resource).to_owned()),
            ("identity".to_owned(), cell.identity.to_owned()),
            ("tenant".to_owned(), Example::meant(example.tenants, cell.tenant).to_owned()),
        ];
        parameters.extend(cell.fmi_path.map(|path| ("fmi_path".to_owned(), path.to_owned())));
        Self { dialect: SPOKEN[0], headers: [secret.map(|(_, file)| secret_of(file)), None], parameters }
    }

    pub fn build(&self, http: &reqwest::Client, base: &str) -> reqwest::RequestBuilder {
        let Spoken { path, version, is_post, .. } = self.dialect;
        let written = self.parameters.iter().map(|(name, value)| format!("{name}={value}"));
        let written = written.collect::<Vec<_>>().join("&");
        let version = if version.is_empty() { String::new() } else { format!("api-version={version}&") };
        let request = if is_post {
            http.post(format!("{base}{path}")).body(format!("{version}{written}"))
        } else {
            http.get(format!("{base}{path}?{version}{written}"))
        };
        let shown = ["X-IDENTITY-HEADER", "Secret"].into_iter().zip(&self.headers);
        let shown = shown.filter_map(|(name, value)| Some((name, value.as_ref()?)));
        shown.fold(request.header("Metadata", "true"), |request, (name, value)| request.header(name, value))
    }

    /// Who it is from, if from anybody: what is shown has to be right, and one caller's.
    pub fn caller(&self, example: &Example) -> Option<&'static str> {
        let whose =
            |shown: &String| example.secrets.iter().find(|(_, file)| secret_of(file) == *shown).map(|(who, _)| *who);
        let shown: Vec<Option<&str>> = self.headers.iter().flatten().map(whose).collect();
        match shown[..] {
            [] => example.loopback,
            [one] => one,
            [one, other] if one == other => one,
            _ => None,
        }
    }

    /// Whether nothing in it can be taken for a selector, in this dialect.
    pub fn selects_nobody(&self) -> bool {
        let is_native = self.dialect.path == "/token";
        self.parameters.iter().all(|(name, _)| match name.as_str() {
            "resource" | "tenant" | "fmi_path" => true,
            "identity" => !is_native,
            _ => false,
        })
    }
}

/// Any request: one for a cell, mostly one that is admitted, with some things about it changed.
pub fn any(example: &'static Example) -> impl Strategy<Value = Request> {
    let cells = example.cells();
    let admitted: Vec<Cell> = cells.iter().filter(|cell| cell.is_admitted()).copied().collect();
    let cell = prop_oneof![2 => select(admitted), 1 => select(cells)];
    let dialect = prop_oneof![1 => Just(SPOKEN[0]), 1 => select(&SPOKEN[..])];
    let changes = prop::collection::vec(change(example), 0..4);
    (cell, dialect, changes).prop_map(move |(cell, dialect, changes)| {
        let mut request = Request::for_cell(example, &cell);
        request.dialect = dialect;
        request.headers.rotate_left(dialect.needs.unwrap_or_default());
        changes.into_iter().fold(request, Request::changed)
    })
}

/// One thing that is different from a plain request.
#[derive(Clone, Debug)]
enum Change {
    /// One more parameter, at this place.
    Added(Index, (String, String)),
    /// Without one of the parameters.
    Dropped(Index),
    /// One of the parameters is written so.
    Respelled(Index, fn(&str) -> String),
    /// A header holds this.
    Shown(bool, Option<String>),
}

impl Request {
    fn changed(mut self, change: Change) -> Self {
        match change {
            Change::Added(at, parameter) => self.parameters.insert(at.index(self.parameters.len() + 1), parameter),
            Change::Dropped(at) if self.parameters.len() > 1 => {
                self.parameters.remove(at.index(self.parameters.len()));
            }
            Change::Dropped(_) => {}
            Change::Respelled(at, spell) => {
                let at = at.index(self.parameters.len());
                let value = &mut self.parameters[at].1;
                *value = spell(value);
            }
            Change::Shown(is_second, shown) => self.headers[usize::from(is_second)] = shown,
        }
        self
    }
}

fn change(example: &'static Example) -> impl Strategy<Value = Change> {
    let at = || proptest::arbitrary::any::<Index>();
    let added =
        prop_oneof![resource(example), selector(example), selector(example), tenant(example), fmi_path(example)];
    prop_oneof![
        3 => (at(), added).prop_map(|(at, parameter)| Change::Added(at, parameter)),
        1 => at().prop_map(Change::Dropped),
        4 => (at(), select(&SPELLINGS[..])).prop_map(|(at, spell)| Change::Respelled(at, spell)),
        1 => (proptest::arbitrary::any::<bool>(), shown(example)).prop_map(|(is_second, shown)| Change::Shown(is_second, shown)),
    ]
}

/// A secret of somebody, what is near one, or nothing.
fn shown(example: &'static Example) -> impl Strategy<Value = Option<String>> {
    let near = |secret: String| {
        prop_oneof![
            3 => Just(Some(secret.clone())),
            1 => Just(Some(secret.to_uppercase())),
            1 => Just(Some(format!("{secret}x"))),
            1 => Just(Some(secret[1..].to_owned())),
            1 => Just(None),
        ]
    };
    let all: Vec<String> = example.secrets.iter().map(|(_, file)| secret_of(file)).collect();
    select(all).prop_flat_map(near)
}

fn resource(example: &'static Example) -> impl Strategy<Value = (String, String)> {
    let all: Vec<&str> = example.resources.iter().map(|(_, uri)| *uri).collect();
    named(&["resource", "resource", "Resource", "%72esource", "resource%00"], all)
}

fn selector(example: &'static Example) -> impl Strategy<Value = (String, String)> {
    const NAMES: &[&str] = &[
        "identity",
        "client_id",
        "client_id",
        "clientid",
        "Client_Id",
        "object_id",
        "principal_id",
        "principalId",
        "msi_res_id",
        "mi_res_id",
        "msi-res-id",
        "resource_id",
    ];
    let ids = example.identities.iter().flat_map(|(name, id)| [*name, *id]);
    named(NAMES, ids.chain([UNKNOWN, OBJECT, ARM]).collect())
}

fn tenant(example: &'static Example) -> impl Strategy<Value = (String, String)> {
    let all = example.tenants.iter().flat_map(|(name, id)| [*name, *id]);
    named(&["tenant", "tenant", "Tenant"], all.chain(["*", "common"]).collect())
}

fn fmi_path(example: &'static Example) -> impl Strategy<Value = (String, String)> {
    named(&["fmi_path"], example.fmi_paths.iter().copied().chain(["agents", "*"]).collect())
}

fn named(names: &'static [&'static str], values: Vec<&'static str>) -> impl Strategy<Value = (String, String)> {
    (select(names), select(values)).prop_map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// The ways in which a text is nearly or really the same.
const SPELLINGS: [fn(&str) -> String; 18] = [
    encoded,
    encoded,
    |text| encoded(text).replace('%', "%25"),
    |text| text.replace('/', "%2f"),
    str::to_uppercase,
    str::to_uppercase,
    |text| format!("{text}/"),
    |text| format!("{text}/"),
    |text| format!("{text}%2F"),
    |text| format!("{text}//"),
    |text| format!("{text}/.default"),
    |text| format!("{text}%20"),
    |text| format!("+{text}"),
    |text| format!("{text}%00"),
    |text| format!("{text}%23x"),
    |text| format!("{text}/../x"),
    |text| format!("{text},{text}"),
    |_| String::new(),
];

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

const UNKNOWN: &str = "00000000-2222-3333-4444-555555555555";
const OBJECT: &str = "22222222-2222-3333-4444-555555555555";
const ARM: &str = "/subscriptions/s/resourcegroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/backup";
