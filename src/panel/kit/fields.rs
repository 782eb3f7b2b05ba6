//! Forms as their template shows them: fields in groups, errors at the field and summed up on top, the input kept.

use super::form::Form;
use crate::domain::Invalid;

/// A form of one page.
#[derive(Debug, Default)]
pub(in crate::panel) struct FormView {
    pub groups: Vec<Group>,
    /// What concerns no single field.
    pub faults: Vec<String>,
    pub buttons: Vec<Button>,
    /// Fields that are not seen.
    pub hidden: Vec<Hidden>,
    /// The way out.
    pub cancel: String,
    /// Where it is sent; empty: to the page's own address.
    pub action: String,
    /// The balance before, for a form that changes one.
    pub balance: Option<i64>,
    /// Whose password is asked for, so that the browser keeps it with the right name.
    pub account: String,
    /// The first button does something that cannot be undone.
    pub is_dangerous: bool,
}

#[derive(Debug)]
pub(in crate::panel) struct Button {
    /// Empty for the first.
    pub name: &'static str,
    pub label: &'static str,
}

/// A field that is not seen.
#[derive(Debug)]
pub(in crate::panel) struct Hidden {
    pub name: String,
    pub value: String,
}

#[derive(Debug)]
pub(in crate::panel) struct Group {
    pub title: &'static str,
    pub description: &'static str,
    pub fields: Vec<Field>,
    /// Folded up at first, as long as nothing in it is wrong.
    pub is_folded: bool,
}

#[derive(Debug)]
pub(in crate::panel) struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub kind: Kind,
    pub value: String,
    pub help: &'static str,
    pub is_required: bool,
    pub most: Option<usize>,
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) enum Kind {
    Text,
    /// A text that is not completed by the browser: a name of somebody else.
    Plain,
    /// The name of a user who is there: names are suggested while it is typed.
    User,
    /// A number with a sign.
    Amount,
    /// A new one.
    Password,
    /// The one that is known.
    OldPassword,
    Tick,
    Choice(Vec<FieldChoice>),
    /// A day and a time.
    Moment,
    /// Shown, not asked.
    ReadOnly,
}

/// A value that a field offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct FieldChoice {
    pub value: String,
    pub label: String,
}

impl FieldChoice {
    pub(crate) fn new(value: &str, label: &str) -> FieldChoice {
        FieldChoice { value: value.to_owned(), label: label.to_owned() }
    }
}

impl Field {
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

    pub(crate) fn value(mut self, value: impl Into<String>) -> Field {
        self.value = value.into();
        self
    }

    pub(crate) fn ticked(self, ticked: bool) -> Field {
        self.value(if ticked { "1" } else { "" })
    }

    pub(crate) fn help(mut self, help: &'static str) -> Field {
        self.help = help;
        self
    }

    pub(crate) fn required(mut self) -> Field {
        self.is_required = true;
        self
    }

    pub(crate) fn most(mut self, characters: usize) -> Field {
        self.most = Some(characters);
        self
    }

    fn may_be_preset(&self) -> bool {
        !matches!(self.kind, Kind::Password | Kind::OldPassword | Kind::ReadOnly)
    }

    pub(crate) fn is_ticked(&self) -> bool {
        !self.value.is_empty()
    }

    pub(crate) fn input_type(&self) -> &'static str {
        match self.kind {
            Kind::Password | Kind::OldPassword => "password",
            Kind::Tick => "checkbox",
            Kind::Moment => "datetime-local",
            _ => "text",
        }
    }

    /// What describes the field, for screen readers.
    pub(crate) fn described_by(&self) -> String {
        let help = (!self.help.is_empty()).then(|| format!("{}-help", self.name));
        let error = self.error.as_ref().map(|_| format!("{}-error", self.name));
        help.into_iter().chain(error).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn choices(&self) -> &[FieldChoice] {
        if let Kind::Choice(choices) = &self.kind { choices } else { &[] }
    }
}

impl Group {
    /// Whether it is shown open.
    pub(crate) fn is_open(&self) -> bool {
        self.fields
            .iter()
            .any(|field| field.error.is_some() || (field.kind == Kind::Tick && field.is_ticked()))
    }
}

impl FormView {
    pub(crate) fn group(
        mut self,
        title: &'static str,
        description: &'static str,
        fields: Vec<Field>,
    ) -> FormView {
        self.groups.push(Group { title, description, fields, is_folded: false });
        self
    }

    /// A group that is folded up at first.
    pub(crate) fn folded_group(
        mut self,
        title: &'static str,
        description: &'static str,
        fields: Vec<Field>,
    ) -> FormView {
        self.groups.push(Group { title, description, fields, is_folded: true });
        self
    }

    pub(crate) fn button(mut self, name: &'static str, label: &'static str) -> FormView {
        self.buttons.push(Button { name, label });
        self
    }

    pub(crate) fn hide(mut self, name: &str, value: impl Into<String>) -> FormView {
        self.hidden.push(Hidden { name: name.to_owned(), value: value.into() });
        self
    }

    pub(crate) fn cancel(mut self, href: impl Into<String>) -> FormView {
        self.cancel = href.into();
        self
    }

    pub(crate) fn send_to(mut self, action: impl Into<String>) -> FormView {
        self.action = action.into();
        self
    }

    pub(crate) fn balance(mut self, tokens: i64) -> FormView {
        self.balance = Some(tokens);
        self
    }

    pub(crate) fn account(mut self, username: &str) -> FormView {
        self.account = username.to_owned();
        self
    }

    pub(crate) fn dangerous(mut self) -> FormView {
        self.is_dangerous = true;
        self
    }

    /// Fills fields in from a query string, as links to a form do; never passwords.
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

    /// Puts in what was sent, but for passwords.
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

    /// Keeps the hidden fields as they were sent: what the form was made from, so that a conflict is still found
    /// after a fault.
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

    /// Marks what is wrong. What belongs to no field of this form stands on top alone.
    pub(crate) fn blame(mut self, errors: &[Invalid]) -> FormView {
        for error in errors {
            let mut fields = self.groups.iter_mut().flat_map(|group| &mut group.fields);
            match fields.find(|field| field.name == error.field) {
                Some(field) => field.error = Some(error.reason.clone()),
                None => self.faults.push(format!("{}: {}", error.field, error.reason)),
            }
        }
        self
    }

    pub(crate) fn fault(mut self, text: impl Into<String>) -> FormView {
        self.faults.push(text.into());
        self
    }

    pub(crate) fn fields_at_fault(&self) -> Vec<&Field> {
        let fields = self.groups.iter().flat_map(|group| &group.fields);
        fields.filter(|field| field.error.is_some()).collect()
    }

    pub(crate) fn has_faults(&self) -> bool {
        !self.faults.is_empty() || !self.fields_at_fault().is_empty()
    }
}
