//! Who may have what by the examples with callers in `config/`, written by hand: nothing here is computed.
//!
//! A row is a caller, an identity and a tenant, a column a resource. `+` is admitted, `~` is admitted in audit
//! mode against a rule, and anything else is refused by a rule of the caller (`i` identities, `t` tenants,
//! `r` resources, `f` fmi_paths) or of the identity (`T`, `R`, `F`). Where a cell has three signs they are for no
//! `fmi_path` and for the paths of the example in turn.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "it is shared by test files, each of which is a crate")]

use std::path::Path;

use tempfile::TempDir;

/// An example and what it has to come to.
pub struct Example {
    pub file: &'static str,
    /// Who shows which file as a header secret.
    pub secrets: &'static [(&'static str, &'static str)],
    /// Who it is that shows nothing and comes from this machine.
    pub loopback: Option<&'static str>,
    /// Whose token is meant when a caller selects none.
    pub defaults: &'static [(&'static str, &'static str)],
    pub identities: &'static [(&'static str, &'static str)],
    pub tenants: &'static [(&'static str, &'static str)],
    pub resources: &'static [(&'static str, &'static str)],
    pub fmi_paths: &'static [&'static str],
    pub matrix: &'static str,
}

const CONTOSO: (&str, &str) = ("contoso", "72f988bf-86f1-41af-91ab-2d7cd011db47");
const FABRIKAM: (&str, &str) = ("fabrikam", "33333333-2222-3333-4444-555555555555");
const VAULT: (&str, &str) = ("vault", "https://vault.azure.net");
const GRAPH: (&str, &str) = ("graph", "https://graph.microsoft.com");
const STORAGE: (&str, &str) = ("storage", "https://storage.azure.com");
const OTHER: (&str, &str) = ("other", "https://nobody.names.this");

pub const EXAMPLES: [&Example; 3] = [&SHARED, &NODE, &MIXED];

pub const SHARED: Example = Example {
    file: "callers-shared.toml",
    secrets: &[("billing", "billing"), ("people", "people"), ("people", "people-next"), ("warehouse", "warehouse")],
    loopback: None,
    defaults: &[("billing", "payroll"), ("people", "payroll"), ("warehouse", "reports")],
    identities: &[
        ("payroll", "11111111-2222-3333-4444-555555555555"),
        ("reports", "44444444-2222-3333-4444-555555555555"),
    ],
    tenants: &[CONTOSO, FABRIKAM],
    resources: &[VAULT, GRAPH, STORAGE, OTHER],
    fmi_paths: &[],
    matrix: "
                               vault  graph  storage  other
billing    payroll  contoso    +      r      r        r
billing    payroll  fabrikam   t      t      t        t
billing    reports  contoso    i      i      i        i
billing    reports  fabrikam   i      i      i        i
people     payroll  contoso    r      +      r        r
people     payroll  fabrikam   r      +      r        r
people     reports  contoso    i      i      i        i
people     reports  fabrikam   i      i      i        i
warehouse  payroll  contoso    +      r      R        r
warehouse  payroll  fabrikam   +      r      R        r
warehouse  reports  contoso    R      r      +        r
warehouse  reports  fabrikam   T      T      T        T
",
};

pub const NODE: Example = Example {
    file: "callers-node.toml",
    secrets: &[("backup", "backup"), ("gateway", "gateway")],
    loopback: Some("anybody-here"),
    defaults: &[("anybody-here", "metrics"), ("backup", "backup"), ("gateway", "gateway")],
    identities: &[
        ("metrics", "11111111-2222-3333-4444-555555555555"),
        ("backup", "44444444-2222-3333-4444-555555555555"),
        ("gateway", "55555555-2222-3333-4444-555555555555"),
    ],
    tenants: &[CONTOSO, FABRIKAM],
    resources: &[("monitor", "https://monitor.azure.com"), STORAGE, VAULT, GRAPH, OTHER],
    fmi_paths: &[],
    matrix: "
                                  monitor  storage  vault  graph  other
anybody-here  metrics  contoso    +        r        r      r      r
anybody-here  metrics  fabrikam   T        T        T      T      T
anybody-here  backup   contoso    i        i        i      i      i
anybody-here  backup   fabrikam   i        i        i      i      i
anybody-here  gateway  contoso    i        i        i      i      i
anybody-here  gateway  fabrikam   i        i        i      i      i
backup        metrics  contoso    i        i        i      i      i
backup        metrics  fabrikam   i        i        i      i      i
backup        backup   contoso    r        +        +      r      r
backup        backup   fabrikam   T        T        T      T      T
backup        gateway  contoso    i        i        i      i      i
backup        gateway  fabrikam   i        i        i      i      i
gateway       metrics  contoso    i        i        i      i      i
gateway       metrics  fabrikam   i        i        i      i      i
gateway       backup   contoso    i        i        i      i      i
gateway       backup   fabrikam   i        i        i      i      i
gateway       gateway  contoso    R        R        +      +      R
gateway       gateway  fabrikam   R        R        +      +      R
",
};

pub const MIXED: Example = Example {
    file: "callers-mixed.toml",
    secrets: &[("operators", "operators"), ("newcomer", "newcomer"), ("agents", "agents"), ("customers", "customers")],
    loopback: None,
    defaults: &[
        ("operators", "platform"),
        ("newcomer", "tenant-bot"),
        ("agents", "blueprint"),
        ("customers", "tenant-bot"),
    ],
    identities: &[
        ("platform", "11111111-2222-3333-4444-555555555555"),
        ("blueprint", "44444444-2222-3333-4444-555555555555"),
        ("tenant-bot", "55555555-2222-3333-4444-555555555555"),
    ],
    // Of the last two the first is what a caller lists by its id alone, and the second nobody names.
    tenants: &[
        CONTOSO,
        FABRIKAM,
        ("guest", "66666666-2222-3333-4444-555555555555"),
        ("any", "77777777-2222-3333-4444-555555555555"),
    ],
    resources: &[VAULT, ("exchange", "api://AzureADTokenExchange"), OTHER],
    fmi_paths: &["agents/triage", "agents/summary"],
    matrix: "
                                  vault  exchange  other
operators  platform    contoso    +ff    +ff       +ff
operators  platform    fabrikam   +ff    +ff       +ff
operators  platform    guest      +ff    +ff       +ff
operators  platform    any        +ff    +ff       +ff
operators  blueprint   contoso    Rff    +ff       Rff
operators  blueprint   fabrikam   TTT    TTT       TTT
operators  blueprint   guest      TTT    TTT       TTT
operators  blueprint   any        TTT    TTT       TTT
operators  tenant-bot  contoso    +ff    Rff       Rff
operators  tenant-bot  fabrikam   +ff    Rff       Rff
operators  tenant-bot  guest      TTT    TTT       TTT
operators  tenant-bot  any        TTT    TTT       TTT
newcomer   platform    contoso    ~FF    ~FF       ~FF
newcomer   platform    fabrikam   ~FF    ~FF       ~FF
newcomer   platform    guest      ~FF    ~FF       ~FF
newcomer   platform    any        ~FF    ~FF       ~FF
newcomer   blueprint   contoso    RRR    ~~~       RRR
newcomer   blueprint   fabrikam   TTT    TTT       TTT
newcomer   blueprint   guest      TTT    TTT       TTT
newcomer   blueprint   any        TTT    TTT       TTT
newcomer   tenant-bot  contoso    +FF    RRR       RRR
newcomer   tenant-bot  fabrikam   +FF    RRR       RRR
newcomer   tenant-bot  guest      TTT    TTT       TTT
newcomer   tenant-bot  any        TTT    TTT       TTT
agents     platform    contoso    iii    iii       iii
agents     platform    fabrikam   iii    iii       iii
agents     platform    guest      iii    iii       iii
agents     platform    any        iii    iii       iii
agents     blueprint   contoso    rrr    ++f       rrr
agents     blueprint   fabrikam   TTT    TTT       TTT
agents     blueprint   guest      TTT    TTT       TTT
agents     blueprint   any        TTT    TTT       TTT
agents     tenant-bot  contoso    iii    iii       iii
agents     tenant-bot  fabrikam   iii    iii       iii
agents     tenant-bot  guest      iii    iii       iii
agents     tenant-bot  any        iii    iii       iii
customers  platform    contoso    ttt    ttt       ttt
customers  platform    fabrikam   +ff    rrr       rrr
customers  platform    guest      +ff    rrr       rrr
customers  platform    any        ttt    ttt       ttt
customers  blueprint   contoso    iii    iii       iii
customers  blueprint   fabrikam   iii    iii       iii
customers  blueprint   guest      iii    iii       iii
customers  blueprint   any        iii    iii       iii
customers  tenant-bot  contoso    ttt    ttt       ttt
customers  tenant-bot  fabrikam   +ff    rrr       rrr
customers  tenant-bot  guest      TTT    TTT       TTT
customers  tenant-bot  any        ttt    ttt       ttt
",
};

/// One cell, in the words of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub caller: &'static str,
    pub identity: &'static str,
    pub tenant: &'static str,
    pub resource: &'static str,
    pub fmi_path: Option<&'static str>,
    pub sign: char,
}

impl Cell {
    pub fn is_admitted(&self) -> bool {
        matches!(self.sign, '+' | '~')
    }
}

impl Example {
    /// Every cell of the table.
    pub fn cells(&self) -> Vec<Cell> {
        let mut lines = self.matrix.trim_matches('\n').lines();
        let columns: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(columns, self.resources.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        let mut cells = Vec::new();
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [caller, identity, tenant, ref signs @ ..] = words[..] else { unreachable!("{line:?}") };
            assert_eq!(signs.len(), columns.len(), "{line:?}");
            for (resource, signs) in columns.iter().zip(signs) {
                assert_eq!(signs.len(), self.fmi_paths.len() + 1, "{line:?}");
                let paths = [None].into_iter().chain(self.fmi_paths.iter().copied().map(Some));
                let cell = |(fmi_path, sign)| Cell { caller, identity, tenant, resource, fmi_path, sign };
                cells.extend(paths.zip(signs.chars()).map(cell));
            }
        }
        cells
    }

    /// The text of the example.
    pub fn text(&self) -> String {
        std::fs::read_to_string(Path::new("config").join(self.file)).unwrap()
    }

    /// A directory with the example, and with the secrets that it names: each says whose it is.
    pub fn directory(&self) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let text = self.text();
        std::fs::create_dir(directory.path().join("secrets")).unwrap();
        for name in text.split("\"secrets/").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            std::fs::write(directory.path().join("secrets").join(name), secret_of(name)).unwrap();
        }
        std::fs::write(directory.path().join(self.file), text).unwrap();
        directory
    }

    /// The id or URI that a word of the table stands for.
    pub fn meant(named: &'static [(&'static str, &'static str)], word: &str) -> &'static str {
        let found = named.iter().find(|(name, _)| *name == word);
        found.map_or_else(|| unreachable!("{word:?} is not in the table"), |(_, meant)| meant)
    }

    /// The word of the table for an id or URI.
    pub fn word(named: &'static [(&'static str, &'static str)], meant: &str) -> Option<&'static str> {
        named.iter().find(|(_, held)| *held == meant).map(|(word, _)| *word)
    }
}

/// What the file of that name holds.
pub fn secret_of(name: &str) -> String {
    format!("secret-of-{name}")
}
