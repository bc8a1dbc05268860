//! What instance metadata tells of a machine: a document, and the way to a part of it.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

/// The document behind `/metadata/instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    whole: Value,
    /// The same as the first versions had it.
    early: Value,
}

/// Why a text is no document. No part of it repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is no JSON; why and where, in serde_json's words.
    #[error("the file is no JSON: {0}")]
    Syntax(String),
    /// It is JSON of another shape.
    #[error("{0}")]
    Shape(&'static str),
    /// It has a number, at this path, that would be served as another one.
    #[error("the number at {0} is not kept as it is: it is no whole one of 64 bits")]
    Number(String),
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON, which no leaf has.
    Json,
    /// A leaf as it is, of anything else the names below it.
    Text,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A leaf was asked for as JSON.
    Form,
    /// Nothing is at the path.
    Part,
}

impl Instance {
    /// Reads a document: a JSON object with an object `compute` in it.
    ///
    /// # Errors
    /// Anything else, and numbers that are not kept as they are.
    pub fn parse(text: &[u8]) -> Result<Self, Unfit> {
        let whole: Value = serde_json::from_slice(text).map_err(|error| Unfit::Syntax(error.to_string()))?;
        if !whole.is_object() {
            return Err(Unfit::Shape("the file holds no JSON object"));
        }
        if !whole.get("compute").is_some_and(Value::is_object) {
            return Err(Unfit::Shape("the object has no object 'compute'"));
        }
        match altered(&whole) {
            Some(path) => Err(Unfit::Number(path.join("."))),
            None => Ok(Self::of(whole)),
        }
    }

    /// What is told of a machine that nobody described. Its `location` may be empty, which clients take for unknown;
    /// an invented one would send some of them to that region.
    #[must_use]
    pub fn nameless(location: &str) -> Self {
        Self::of(json!({
            "compute": {
                "azEnvironment": "AzurePublicCloud",
                "location": location,
                "name": "bursar",
                "offer": "",
                "osType": "Linux",
                "placementGroupId": "",
                "platformFaultDomain": "0",
                "platformUpdateDomain": "0",
                "provider": "Microsoft.Compute",
                "publisher": "",
                "resourceGroupName": "bursar",
                "resourceId": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/bursar/providers/Microsoft.Compute/virtualMachines/bursar"),
                "sku": "",
                "subscriptionId": SUBSCRIPTION,
                "tags": "",
                "version": "",
                "vmId": "b0b00000-0000-4000-8000-000000000006",
                "vmScaleSetName": "",
                "vmSize": "Standard_B1s",
                "zone": "",
            },
            "network": { "interface": [{
                "ipv4": {
                    "ipAddress": [{ "privateIpAddress": "127.0.0.1", "publicIpAddress": "" }],
                    "subnet": [{ "address": "127.0.0.0", "prefix": "8" }],
                },
                "ipv6": { "ipAddress": [] },
                "macAddress": "000000000000",
            }] },
        }))
    }

    fn of(whole: Value) -> Self {
        let mut early = whole.clone();
        if let Some(compute) = early.get_mut("compute").and_then(Value::as_object_mut) {
            compute.retain(|_, value| value.is_string());
        }
        Self { whole, early }
    }

    /// The part at `path`, as that version has it: until 2018-04-02 `compute` is a map of texts, and clients
    /// decode it as one.
    ///
    /// # Errors
    /// Nothing is there, or not in this form.
    pub fn part(&self, path: &str, version: &str, format: Format) -> Result<Cow<'_, str>, Missing> {
        let whole = if version < FIRST_WITH_MORE { &self.early } else { &self.whole };
        let mut steps = path.split('/').filter(|step| !step.is_empty());
        let part = steps.try_fold(whole, below).ok_or(Missing::Part)?;
        let is_leaf = !part.is_object() && !part.is_array();
        match format {
            Format::Json if is_leaf => Err(Missing::Form),
            Format::Json => Ok(part.to_string().into()),
            Format::Text => Ok(text(part)),
        }
    }
}

/// The way to a number that may not be kept as it was written: a fraction, which a whole one beyond 64 bits is too by
/// now.
fn altered(part: &Value) -> Option<Vec<String>> {
    let through = |step: String, part| {
        let mut path = altered(part)?;
        path.insert(0, step);
        Some(path)
    };
    match part {
        Value::Number(number) => number.is_f64().then(Vec::new),
        Value::Object(members) => members.iter().find_map(|(name, part)| through(name.clone(), part)),
        Value::Array(items) => items.iter().enumerate().find_map(|(n, part)| through(n.to_string(), part)),
        _ => None,
    }
}

/// What a step of a path leads to. A name may have anything in it, so a step is decoded, and only after the path is
/// taken apart: an encoded slash is part of a name (RFC 3986, section 2.4).
fn below<'a>(part: &'a Value, step: &str) -> Option<&'a Value> {
    let step = percent_decode_str(step).decode_utf8().ok()?;
    match part {
        Value::Object(members) => members.get(&*step),
        Value::Array(items) => items.get(place(&step)?),
        _ => None,
    }
}

/// A place in a list, which is written in one way: without signs and leading zeros, as RFC 6901 has it.
fn place(step: &str) -> Option<usize> {
    step.parse().ok().filter(|place: &usize| place.to_string() == step)
}

/// A leaf, or the names below a part with a slash behind those that lead on.
fn text(part: &Value) -> Cow<'_, str> {
    match part {
        Value::String(text) => text.into(),
        Value::Null => "".into(),
        Value::Bool(_) | Value::Number(_) => part.to_string().into(),
        Value::Object(members) => names(members).into(),
        Value::Array(items) => {
            let line = |(n, item): (usize, &Value)| format!("{n}{}", slash(item));
            items.iter().enumerate().map(line).collect::<Vec<_>>().join("\n").into()
        }
    }
}

fn names(members: &Map<String, Value>) -> String {
    members.iter().map(|(name, value)| format!("{name}{}", slash(value))).collect::<Vec<_>>().join("\n")
}

const fn slash(part: &Value) -> &'static str {
    if matches!(part, Value::Object(_) | Value::Array(_)) { "/" } else { "" }
}

/// The first version whose `compute` holds more than texts.
const FIRST_WITH_MORE: &str = "2018-04-02";
const SUBSCRIPTION: &str = "b0b00000-0000-4000-8000-000000000004";

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"compute":{"name":"vm","vmSize":"Standard_B1s","plan":{"name":""},"tags":{"cost centre":"7","a/b":"8","ü":"9","100%":"10"},"cores":2,"spot":false,"tagsList":[{"name":"a","value":"b"}],"note":null},
        "network":{"interface":[{"macAddress":"0022"},{"macAddress":"0033"}]}}"#;

    fn part(path: &str, version: &str, format: Format) -> Result<String, Missing> {
        Instance::parse(DOCUMENT.as_bytes()).unwrap().part(path, version, format).map(Cow::into_owned)
    }

    #[test]
    fn a_path_leads_to_a_part() {
        use Format::{Json, Text};
        for (path, format, expected) in [
            ("", Text, Ok("compute/\nnetwork/")),
            ("compute/vmSize", Text, Ok("Standard_B1s")),
            ("/compute/vmSize/", Text, Ok("Standard_B1s")),
            ("compute/vmSize", Json, Err(Missing::Form)),
            ("compute/plan", Json, Ok(r#"{"name":""}"#)),
            ("compute/plan/name", Text, Ok("")),
            ("compute/cores", Text, Ok("2")),
            ("compute/spot", Text, Ok("false")),
            ("compute/note", Text, Ok("")),
            ("compute/tagsList", Text, Ok("0/")),
            ("compute/tagsList/0", Text, Ok("name\nvalue")),
            ("network/interface/1", Json, Ok(r#"{"macAddress":"0033"}"#)),
            ("network/interface/1/macAddress", Text, Ok("0033")),
            ("network/interface/2", Json, Err(Missing::Part)),
            ("network/interface/-1", Json, Err(Missing::Part)),
            ("network/interface/x", Json, Err(Missing::Part)),
            ("network/interface/+0", Json, Err(Missing::Part)),
            ("network/interface/00", Json, Err(Missing::Part)),
            ("network/interface/01", Json, Err(Missing::Part)),
            ("network/interface/1 ", Json, Err(Missing::Part)),
            ("network/interface/%31/macAddress", Text, Ok("0033")),
            ("%63ompute/vm%53ize", Text, Ok("Standard_B1s")),
            ("compute/tags/cost%20centre", Text, Ok("7")),
            ("compute/tags/cost centre", Text, Ok("7")),
            ("compute/tags/cost+centre", Text, Err(Missing::Part)),
            ("compute/tags/a%2Fb", Text, Ok("8")),
            ("compute%2Ftags", Json, Err(Missing::Part)),
            ("compute/tags/%C3%BC", Text, Ok("9")),
            ("compute/tags/%25C3%25BC", Text, Err(Missing::Part)),
            ("compute/tags/%FF", Text, Err(Missing::Part)),
            ("compute/tags/100%", Text, Ok("10")),
            ("compute/tags/100%25", Text, Ok("10")),
            ("compute/tags/%2E%2E/vmSize", Text, Err(Missing::Part)),
            ("compute/VMSIZE", Text, Err(Missing::Part)),
            ("compute/vmSize/0", Text, Err(Missing::Part)),
            ("..", Text, Err(Missing::Part)),
        ] {
            assert_eq!(part(path, "2021-02-01", format), expected.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn early_versions_have_texts_alone_in_compute() {
        for version in ["2017-08-01", "2018-02-01"] {
            let compute = part("compute", version, Format::Json).unwrap();
            assert_eq!(compute, r#"{"name":"vm","vmSize":"Standard_B1s"}"#, "{version}");
            assert_eq!(part("compute/tagsList", version, Format::Json), Err(Missing::Part));
        }
        assert!(part("", "2017-08-01", Format::Json).unwrap().contains(r#""network":{"interface":[{"mac"#));
        assert!(part("compute", "2018-04-02", Format::Json).unwrap().contains("tagsList"));
    }

    #[test]
    fn a_document_is_an_object_with_compute() {
        for (text, told) in [
            ("", "no JSON: EOF while parsing a value at line 1 column 0"),
            ("{\n  \"compute\" {", "no JSON: expected `:` at line 2 column 13"),
            ("{\"compute\":{\"a\":\"marked\",}}", "no JSON: trailing comma at line 1 column 26"),
            ("{\"compute\":{\"a\":1e999}}", "no JSON: number out of range"),
            ("{\"compute\":{\"a\":0.10}}", "the number at compute.a is not kept"),
            ("{\"compute\":{\"a\":18446744073709551616}}", "the number at compute.a is not kept"),
            ("{\"compute\":{\"a\":[0,{\"b\":-1e20}]}}", "the number at compute.a.1.b is not kept"),
            ("[]", "no JSON object"),
            ("{}", "'compute'"),
            (r#"{"compute":1}"#, "'compute'"),
        ] {
            let problem = Instance::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(problem.contains(told) && !problem.contains("marked"), "{problem}");
        }
        let numbers = r#"{"compute":{"a":[18446744073709551615,-9223372036854775808,9007199254740993,0]}}"#;
        let kept = Instance::parse(numbers.as_bytes()).unwrap();
        let whole = kept.part("compute/a", "2021-02-01", Format::Json).unwrap();
        assert_eq!(whole, "[18446744073709551615,-9223372036854775808,9007199254740993,0]");
    }

    #[test]
    fn a_machine_that_nobody_described_has_texts_for_every_reader() {
        let instance = Instance::nameless("westeurope");
        let compute = |version| instance.part("compute", version, Format::Json).unwrap();
        assert_eq!(compute("2017-08-01"), compute("2021-02-01"));
        let compute: Map<String, Value> = serde_json::from_str(&compute("2017-08-01")).unwrap();
        for name in [
            "name",
            "location",
            "subscriptionId",
            "resourceGroupName",
            "resourceId",
            "vmId",
            "vmSize",
            "osType",
            "vmScaleSetName",
        ] {
            assert!(compute[name].is_string(), "{name}");
        }
        let address =
            instance.part("network/interface/0/ipv4/ipAddress/0/privateIpAddress", "2017-08-01", Format::Text);
        assert_eq!(address.unwrap(), "127.0.0.1");
    }
}
