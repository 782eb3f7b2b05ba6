//! JSON Schemas of what the API takes and returns: those of the types that serde reads and writes,
//! and those of protocols that are read field by field.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

/// A JSON Schema of the draft 2020-12, which OpenAPI 3.1 uses, with the named ones that it refers
/// to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// The schema.
    pub json: Value,
    /// The named schemas, which are components of the document.
    pub named: BTreeMap<String, Value>,
}

impl Schema {
    /// Returns the schema of a type, which is a named one.
    pub fn of<T: ToSchema>() -> Schema {
        let mut found = Vec::new();
        <T as ToSchema>::schemas(&mut found);
        let own = <T as ToSchema>::name().into_owned();
        found.push((own.clone(), <T as PartialSchema>::schema()));
        let json = |schema| serde_json::to_value(schema).unwrap_or_default();
        let named = found.into_iter().map(|(name, schema)| (name, json(schema))).collect();
        Schema { json: Schema::reference(&own), named }
    }

    /// Makes a schema with a name.
    pub fn named(name: &str, json: Value) -> Schema {
        Schema { json: Schema::reference(name), named: BTreeMap::from([(name.to_owned(), json)]) }
    }

    /// Makes a schema without a name.
    pub fn plain(json: Value) -> Schema {
        Schema { json, named: BTreeMap::new() }
    }

    /// Adds the named schemas of another one, which this one refers to.
    pub fn using(mut self, other: Schema) -> Schema {
        self.named.extend(other.named);
        self
    }

    /// Returns the schema that refers to a named one.
    pub fn reference(name: &str) -> Value {
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(ToSchema)]
    #[schema(as = Inner)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct InnerView {
        /// How many there are.
        count: i64,
    }

    #[derive(ToSchema)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct Outer<'a> {
        name: &'a str,
        #[schema(required)]
        inner: Option<InnerView>,
        #[schema(required)]
        note: Option<&'static str>,
    }

    #[test]
    fn the_schema_of_a_type_has_those_of_its_fields() {
        let schema = Schema::of::<Outer>();
        assert_eq!(schema.json, json!({ "$ref": "#/components/schemas/Outer" }));
        assert_eq!(schema.named.keys().collect::<Vec<_>>(), ["Inner", "Outer"]);
        let outer = &schema.named["Outer"];
        assert_eq!(outer["required"], json!(["name", "inner", "note"]));
        assert_eq!(outer["properties"]["note"]["type"], json!(["string", "null"]));
        let inner = outer["properties"]["inner"].to_string();
        assert!(inner.contains("#/components/schemas/Inner") && inner.contains("null"), "{inner}");
        assert_eq!(schema.named["Inner"]["properties"]["count"]["description"], "How many there are.");
    }
}
