//! A minimal HTML parser for the panel's pages: tags with their attributes, forms with the fields
//! that they would send, and the visible text. It parses quotes and entities as browsers do, so
//! that text that escapes from them is found as a tag.

/// A tag, or the text between two tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Tag(Tag),
    Text(String),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    /// The name in lower case. An end tag's name begins with a slash.
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

/// A form with the values of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// The address that the form is sent to. Empty means the page's own address.
    pub action: String,
    pub method: String,
    /// The fields that would be sent if the user changed nothing.
    pub fields: Vec<(String, String)>,
    /// The boxes that can be ticked.
    pub boxes: Vec<(String, String)>,
    /// The names of the buttons.
    pub buttons: Vec<String>,
}

impl Tag {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> String {
        self.attribute(name).unwrap_or_default().to_owned()
    }
}

impl Form {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the form with these fields filled in. A box or a button that would not be sent is
    /// added.
    #[must_use]
    pub fn with(mut self, fields: &[(&str, &str)]) -> Form {
        for (name, value) in fields {
            match self.fields.iter_mut().find(|(key, _)| key == name) {
                Some(field) => field.1 = (*value).to_owned(),
                None => self.fields.push(((*name).to_owned(), (*value).to_owned())),
            }
        }
        self
    }

    /// Returns the form with a box unticked, or without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Form {
        self.fields.retain(|(key, _)| key != name);
        self
    }

    /// Returns the form with one of several boxes of the same name ticked.
    #[must_use]
    pub fn tick(mut self, name: &str, value: impl ToString) -> Form {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }
}

/// Splits HTML into tags and texts.
pub fn pieces(html: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = html;
    while let Some(place) = rest.find('<') {
        let after = &rest[place + 1..];
        let begins_tag = after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        let text = if begins_tag { &rest[..place] } else { &rest[..=place] };
        if !text.is_empty() {
            pieces.push(Piece::Text(decoded(text)));
        }
        if begins_tag {
            let (tag, left) = tag(after);
            pieces.push(Piece::Tag(tag));
            rest = left;
        } else {
            rest = after;
        }
    }
    pieces.push(Piece::Text(decoded(rest)));
    pieces
}

/// Parses a tag after its `<`. Returns the text after its `>`.
fn tag(text: &str) -> (Tag, &str) {
    let end = text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len());
    let mut tag = Tag { name: text[..end].to_ascii_lowercase(), attributes: Vec::new() };
    let mut rest = text[end..].trim_start();
    while !rest.is_empty() && !rest.starts_with('>') {
        let end = rest.find(|c: char| c.is_whitespace() || c == '=' || c == '>').unwrap_or(rest.len()).max(1);
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            (value, rest) = attribute_value(after.trim_start());
        }
        tag.attributes.push((name, decoded(value)));
        rest = rest.trim_start();
    }
    (tag, rest.strip_prefix('>').unwrap_or(rest))
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote) {
            return inner.split_once(quote).unwrap_or((inner, ""));
        }
    }
    let end = text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len());
    text.split_at(end)
}

/// Replaces entities by their characters.
pub fn decoded(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(place) = rest.find('&') {
        decoded.push_str(&rest[..place]);
        rest = &rest[place..];
        let entity = rest.split_once(';').filter(|(entity, _)| entity.len() < 10);
        let character = entity.and_then(|(entity, _)| character(&entity[1..]));
        match (character, entity) {
            (Some(character), Some((_, after))) => {
                decoded.push(character);
                rest = after;
            }
            _ => {
                decoded.push('&');
                rest = &rest[1..];
            }
        }
    }
    decoded + rest
}

fn character(entity: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        _ => match entity.strip_prefix("#x") {
            Some(digits) => number(digits, 16),
            None => number(entity.strip_prefix('#')?, 10),
        },
    }
}

/// Returns the forms of a page.
pub fn forms(html: &str) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    let mut is_open = false;
    let mut select: Option<String> = None;
    for piece in pieces(html) {
        let Piece::Tag(tag) = piece else { continue };
        match tag.name.as_str() {
            "form" => {
                is_open = true;
                let (action, method) = (tag.text("action"), tag.text("method"));
                forms.push(Form { action, method, ..Form::default() });
            }
            "/form" => is_open = false,
            "/select" => select = None,
            _ => {}
        }
        let Some(form) = forms.last_mut().filter(|_| is_open) else { continue };
        let pair = (tag.text("name"), tag.text("value"));
        match tag.name.as_str() {
            // A box without a name is only for the script.
            "input" if tag.attribute("type") == Some("checkbox") && !pair.0.is_empty() => {
                if tag.attribute("checked").is_some() {
                    form.fields.push(pair.clone());
                }
                form.boxes.push(pair);
            }
            "input" if !pair.0.is_empty() => form.fields.push(pair),
            "button" => form.buttons.push(pair.0),
            "select" => {
                form.fields.push((pair.0.clone(), String::new()));
                select = Some(pair.0);
            }
            "option" => {
                let field = form.fields.iter_mut().rfind(|(name, _)| select.as_ref() == Some(name));
                if let Some(field) = field.filter(|_| tag.attribute("selected").is_some()) {
                    field.1 = pair.1;
                }
            }
            _ => {}
        }
    }
    forms
}

/// Returns the texts that the page's buttons copy, in order.
pub fn copied(html: &str) -> Vec<String> {
    let text = |piece: Piece| match piece {
        Piece::Tag(tag) => tag.attribute("data-copy").map(str::to_owned),
        Piece::Text(_) => None,
    };
    pieces(html).into_iter().filter_map(text).collect()
}

/// Returns the cells of a column, from top to bottom, in the first table whose head has `label`.
pub fn column(html: &str, label: &str) -> Vec<String> {
    let table = html.split_once("<table").map_or("", |(_, rest)| rest);
    let table = table.split_once("</table>").map_or(table, |(table, _)| table);
    let mut rows = table.split("<tr").skip(1).map(|row| {
        let row = row.replace("<th", "<td");
        row.split("<td").skip(1).map(|cell| text(&format!("<td{cell}"))).collect::<Vec<_>>()
    });
    let heads = rows.next().unwrap_or_default();
    let place = heads.iter().position(|head| head.trim_end_matches([' ', '↑', '↓']) == label);
    place.map_or_else(Vec::new, |place| rows.filter_map(|row| row.get(place).cloned()).collect())
}

/// Returns the visible text, with single blanks.
pub fn text(html: &str) -> String {
    let mut text = String::new();
    for piece in pieces(html) {
        match piece {
            Piece::Text(words) => text.push_str(&words),
            // Inline elements may be in the middle of a word or a sentence.
            Piece::Tag(tag)
                if ["a", "bdi", "code", "mark", "span", "strong"]
                    .contains(&tag.name.trim_start_matches('/')) => {}
            Piece::Tag(_) => text.push(' '),
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn html_is_parsed_as_browsers_parse_it() {
    let html = r#"<form method="post"><input type="hidden" name="a" value="&quot;1&#x27;"><select name="s">
        <option value="x">X<option value="y" selected>Y</select><input type="checkbox" name="b" value="1" checked>
        <button name="go">Go</button></form><p title='<b>'>1 < 2 &amp; <em>&lt;i&gt;</em></p>"#;
    let form = forms(html).pop().unwrap();
    let fields: Vec<_> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(fields, [("a", "\"1'"), ("s", "y"), ("b", "1")]);
    assert_eq!((form.method.as_str(), form.buttons), ("post", vec!["go".to_owned()]));
    let table = "<table><tr><th>A <span>↑</span><th>B</th></tr><tbody><tr><td>1</td><td><time>2</time></td></tr></tbody></table>";
    assert_eq!((column(table, "A"), column(table, "B")), (vec!["1".to_owned()], vec!["2".to_owned()]));
    assert_eq!(text(html), "X Y Go 1 < 2 & <i>");
}
