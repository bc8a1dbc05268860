//! Names and values as a form, a query or a set of headers carries them.

use serde_json::{Map, Value};

/// Pairs in the order they came in; a name may occur more than once.
///
/// It has no `Debug`, because client secrets are among the values.
#[derive(Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `application/x-www-form-urlencoded` text; whatever it is, it can be read.
    pub(super) fn parse(text: &[u8]) -> Self {
        url::form_urlencoded::parse(text).into_owned().collect()
    }

    /// The first value of that name. An empty one counts as absent, as it does for Entra.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// A JSON object of what `show` makes of each pair; a name that occurs twice gets a list.
    pub(super) fn to_json(&self, show: impl Fn(&str, &str) -> String) -> Map<String, Value> {
        let mut object = Map::new();
        for (name, value) in &self.0 {
            let shown = Value::from(show(name, value));
            match object.get_mut(name) {
                None => _ = object.insert(name.clone(), shown),
                Some(Value::Array(list)) => list.push(shown),
                Some(one) => *one = Value::from(vec![one.take(), shown]),
            }
        }
        object
    }
}

impl FromIterator<(String, String)> for Params {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_counts_and_an_empty_one_does_not() {
        let form = Params::parse(b"scope=a%2F.default+b&empty=&scope=c&odd");
        assert_eq!(form.get("scope"), Some("a/.default b"));
        assert_eq!(form.get("empty"), None);
        assert_eq!(form.get("odd"), None);
    }

    #[test]
    fn a_repeated_name_becomes_a_list() {
        let form = Params::parse(b"a=1&b=2&a=3&a=4");
        let object = Value::from(form.to_json(|_, value| value.to_owned()));
        assert_eq!(object, serde_json::json!({"a": ["1", "3", "4"], "b": "2"}));
    }
}
