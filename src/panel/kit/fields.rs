//! Forms as `templates/admin/fields.html` shows them: fields in groups, with errors at each field
//! and in a summary on top. What was entered is kept.

use super::form::Form;
use super::sentence::sentence;
use crate::domain::Invalid;

/// The form of a page.
#[derive(Debug, Default)]
pub(in crate::panel) struct FormView {
    pub groups: Vec<Group>,
    /// Faults that belong to no field of the form.
    pub faults: Vec<String>,
    pub buttons: Vec<Button>,
    pub hidden: Vec<Hidden>,
    /// Where *Cancel* leads. Empty: there is no such link.
    pub cancel: String,
    /// The address that the form is sent to. Empty: that of the page.
    pub action: String,
    /// The present balance, for the script's preview of a change.
    pub balance: Option<i64>,
    /// The user whose password is asked for, so that the browser stores it under the right name.
    pub account: String,
    /// Whether the first button is shown as dangerous.
    pub is_dangerous: bool,
    /// Whether the page is this form, so that its first field gets the focus.
    pub is_alone: bool,
}

/// A button that sends the form.
#[derive(Debug)]
pub(in crate::panel) struct Button {
    /// The parameter that says which button was pressed. Empty for the first.
    pub name: &'static str,
    pub label: &'static str,
}

/// A hidden field.
#[derive(Debug)]
pub(in crate::panel) struct Hidden {
    pub name: String,
    pub value: String,
}

/// Fields with a common title and description. Both may be empty.
#[derive(Debug)]
pub(in crate::panel) struct Group {
    pub title: &'static str,
    pub description: &'static str,
    pub fields: Vec<Field>,
    /// Whether it is collapsed at first; see [`Group::is_open`].
    pub is_folded: bool,
}

/// A field of a form.
#[derive(Debug)]
pub(in crate::panel) struct Field {
    /// The parameter's name, and the id of the input.
    pub name: &'static str,
    pub label: &'static str,
    pub kind: Kind,
    pub value: String,
    pub help: &'static str,
    pub is_required: bool,
    /// The most characters that the browser accepts.
    pub most: Option<usize>,
    pub error: Option<String>,
}

/// The kind of a field, which determines its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) enum Kind {
    Text,
    /// A text that the browser does not complete, such as the name of somebody else.
    Plain,
    /// The name of an existing user. Names are suggested while it is typed.
    User,
    /// A number, which may have a sign.
    Amount,
    /// A new password.
    Password,
    /// A password that is already set, which the browser may fill in.
    OldPassword,
    /// A check box. It is ticked if the value is not empty.
    Tick,
    Choice(Vec<FieldChoice>),
    /// A date and a time of day, in the administrator's time zone.
    Moment,
    /// A value that is shown and not sent.
    ReadOnly,
}

/// A value on offer in a field of the kind [`Kind::Choice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct FieldChoice {
    pub value: String,
    pub label: String,
}

impl FieldChoice {
    /// A choice that sends `value` and shows `label`.
    pub(crate) fn new(value: &str, label: &str) -> FieldChoice {
        FieldChoice { value: value.to_owned(), label: label.to_owned() }
    }
}

impl Field {
    /// An empty field that is not required.
    pub(crate) fn new(name: &'static str, label: &'static str, kind: Kind) -> Field {
        Field {
            name,
            label,
            kind,
            value: String::new(),
            help: "",
            is_required: false,
            most: None,
            error: None,
        }
    }

    /// Sets the value. For a [`Kind::Choice`] it is the one that is selected.
    pub(crate) fn value(mut self, value: impl Into<String>) -> Field {
        self.value = value.into();
        self
    }

    /// Sets whether a check box is ticked.
    pub(crate) fn ticked(self, ticked: bool) -> Field {
        self.value(if ticked { "1" } else { "" })
    }

    /// Adds a text below the field.
    pub(crate) fn help(mut self, help: &'static str) -> Field {
        self.help = help;
        self
    }

    /// Makes the browser require a value.
    pub(crate) fn required(mut self) -> Field {
        self.is_required = true;
        self
    }

    /// Limits what the browser lets one type.
    pub(crate) fn most(mut self, characters: usize) -> Field {
        self.most = Some(characters);
        self
    }

    fn may_be_preset(&self) -> bool {
        !matches!(self.kind, Kind::Password | Kind::OldPassword | Kind::ReadOnly)
    }

    /// Whether a check box is ticked.
    pub(crate) fn is_ticked(&self) -> bool {
        !self.value.is_empty()
    }

    /// Returns the `type` of the `input` element.
    pub(crate) fn input_type(&self) -> &'static str {
        match self.kind {
            Kind::Password | Kind::OldPassword => "password",
            Kind::Tick => "checkbox",
            Kind::Moment => "datetime-local",
            _ => "text",
        }
    }

    /// Returns the ids of the elements that describe the field, for screen readers.
    pub(crate) fn described_by(&self) -> String {
        let help = (!self.help.is_empty()).then(|| format!("{}-help", self.name));
        let error = self.error.as_ref().map(|_| format!("{}-error", self.name));
        help.into_iter().chain(error).collect::<Vec<_>>().join(" ")
    }

    /// Returns the values on offer. Only a [`Kind::Choice`] has any.
    pub(crate) fn choices(&self) -> &[FieldChoice] {
        if let Kind::Choice(choices) = &self.kind { choices } else { &[] }
    }
}

impl Group {
    /// Whether it is shown open: something in it is wrong or ticked.
    pub(crate) fn is_open(&self) -> bool {
        self.fields
            .iter()
            .any(|field| field.error.is_some() || (field.kind == Kind::Tick && field.is_ticked()))
    }
}

impl FormView {
    /// Adds a group. Title and description may be empty.
    pub(crate) fn group(
        mut self,
        title: &'static str,
        description: &'static str,
        fields: Vec<Field>,
    ) -> FormView {
        self.groups.push(Group { title, description, fields, is_folded: false });
        self
    }

    /// Adds a group that is collapsed at first.
    pub(crate) fn folded_group(
        mut self,
        title: &'static str,
        description: &'static str,
        fields: Vec<Field>,
    ) -> FormView {
        self.groups.push(Group { title, description, fields, is_folded: true });
        self
    }

    /// Adds a button. Pressing it sends the parameter `name`, unless that is empty.
    pub(crate) fn button(mut self, name: &'static str, label: &'static str) -> FormView {
        self.buttons.push(Button { name, label });
        self
    }

    /// Adds a hidden field.
    pub(crate) fn hide(mut self, name: &str, value: impl Into<String>) -> FormView {
        self.hidden.push(Hidden { name: name.to_owned(), value: value.into() });
        self
    }

    /// Adds the link *Cancel*.
    pub(crate) fn cancel(mut self, href: impl Into<String>) -> FormView {
        self.cancel = href.into();
        self
    }

    /// Sends the form to another address than that of its page.
    pub(crate) fn send_to(mut self, action: impl Into<String>) -> FormView {
        self.action = action.into();
        self
    }

    /// Lets the script preview the balance, which is now `tokens`.
    pub(crate) fn balance(mut self, tokens: i64) -> FormView {
        self.balance = Some(tokens);
        self
    }

    /// Tells the browser whose password the form asks for.
    pub(crate) fn account(mut self, username: &str) -> FormView {
        self.account = username.to_owned();
        self
    }

    /// Puts the focus on the first field, because the page is this form.
    pub(crate) fn alone(mut self) -> FormView {
        self.is_alone = true;
        self
    }

    /// Whether a field gets the focus when the page is opened. If the form has faults, the summary
    /// of them gets it.
    pub(crate) fn has_focus(&self, field: &Field) -> bool {
        let shown = self.groups.iter().filter(|group| !group.is_folded).flat_map(|group| &group.fields);
        let first = shown.into_iter().find(|field| field.kind != Kind::ReadOnly);
        self.is_alone && !self.has_faults() && first.is_some_and(|first| first.name == field.name)
    }

    /// Adds a field behind the one with this name.
    pub(crate) fn and_field_after(mut self, name: &str, field: Field) -> FormView {
        for group in &mut self.groups {
            if let Some(place) = group.fields.iter().position(|before| before.name == name) {
                group.fields.insert(place + 1, field);
                break;
            }
        }
        self
    }

    /// Shows the first button as dangerous.
    pub(crate) fn dangerous(mut self) -> FormView {
        self.is_dangerous = true;
        self
    }

    /// Fills in fields from the query string of a link to the form, but never passwords.
    pub(crate) fn preset(mut self, query: &str) -> FormView {
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let fields = self.groups.iter_mut().flat_map(|group| &mut group.fields);
            let wanted = fields.into_iter().find(|field| field.name == name && field.may_be_preset());
            if let Some(field) = wanted.filter(|_| !value.contains('\0')) {
                field.value = value.into_owned();
            }
        }
        self
    }

    /// Fills in what was sent, except passwords.
    pub(crate) fn refill(mut self, form: &Form) -> FormView {
        for field in self.groups.iter_mut().flat_map(|group| &mut group.fields) {
            match field.kind {
                Kind::Password | Kind::OldPassword => field.value.clear(),
                Kind::ReadOnly => {}
                _ => field.value = form.text(field.name).to_owned(),
            }
        }
        self
    }

    /// Keeps the hidden fields as they were sent. They say which values the form was made from, so
    /// a conflict is still found after a fault was corrected.
    pub(crate) fn keep_hidden(mut self, form: &Form) -> FormView {
        for hidden in &mut self.hidden {
            hidden.value = form.text(&hidden.name).to_owned();
        }
        self
    }

    /// Returns the label of a field.
    pub(crate) fn label(&self, name: &str) -> Option<&'static str> {
        let mut fields = self.groups.iter().flat_map(|group| &group.fields);
        fields.find(|field| field.name == name).map(|field| field.label)
    }

    /// Shows each error at its field, as a sentence. Errors of fields that the form does not have
    /// are shown on top only.
    pub(crate) fn blame(mut self, errors: &[Invalid]) -> FormView {
        for error in errors {
            let mut fields = self.groups.iter_mut().flat_map(|group| &mut group.fields);
            match fields.find(|field| field.name == error.field) {
                Some(field) => field.error = Some(sentence(&error.reason)),
                None => self.faults.push(sentence(&error.reason)),
            }
        }
        self
    }

    /// Adds a fault that belongs to no field.
    pub(crate) fn fault(mut self, text: &str) -> FormView {
        self.faults.push(sentence(text));
        self
    }

    /// Returns the fields that have an error.
    pub(crate) fn fields_at_fault(&self) -> Vec<&Field> {
        let fields = self.groups.iter().flat_map(|group| &group.fields);
        fields.filter(|field| field.error.is_some()).collect()
    }

    /// Whether anything is wrong with the form or one of its fields.
    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty() || !self.fields_at_fault().is_empty()
    }
}
