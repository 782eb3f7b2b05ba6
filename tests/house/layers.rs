//! Which module may use which: the order of the modules, and no import cycles between files.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, below, root};

/// The modules of the crate from top to bottom. Each uses only those after it.
const ORDER: [&str; 32] = [
    "main",
    "cli",
    "server",
    "pages",
    "panel",
    "api",
    "config",
    "import",
    "demo",
    "administration",
    "backup",
    "index",
    "account",
    "chat",
    "responder",
    "openapi",
    "http",
    "auth",
    "audit",
    "metering",
    "models",
    "db",
    "schema",
    "error",
    "throttle",
    "tls",
    "logging",
    "metrics",
    "domain",
    "clock",
    "client_address",
    "live",
];

fn place(module: &str) -> usize {
    let place = ORDER.iter().position(|name| *name == module);
    place.unwrap_or_else(|| {
        panic!("the module {module} has no place yet: give it one in tests/house/layers.rs")
    })
}

#[test]
fn each_module_uses_only_those_below_it() {
    // `lib` only names the modules.
    for source in below("src").into_iter().filter(|source| source.module() != "lib") {
        let own = place(source.module());
        for used in source.code.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            // `crate::{a, b}` would hide what is used.
            assert!(!used.is_empty(), "{}: give each module after crate:: its own use", source.path);
            let is_below = used == source.module() || place(&used) > own;
            assert!(is_below, "{} uses crate::{used}, which lies above it", source.path);
        }
    }
}

/// Pages are built from the kit, so the kit must not depend on them.
#[test]
fn the_panels_kit_uses_no_page() {
    let kit = below("src/panel/kit");
    assert!(kit.len() > 10, "only {} files are checked", kit.len());
    for source in kit {
        for used in source.code.split("crate::panel::").skip(1) {
            assert!(used.starts_with("kit"), "{} uses a page: {}", source.path, used.lines().next().unwrap());
        }
        let depth = source.path.matches('/').count() - 2;
        let up = "super::".repeat(depth + 1);
        assert!(!source.code.contains(&up), "{} leaves the kit by {up}", source.path);
    }
}

/// The lists in the documentation are the same as the one that is enforced.
#[test]
fn the_architecture_and_the_crate_list_the_modules_in_the_same_order() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let architecture = read("docs/architecture.md");
    let (_, layers) = architecture.split_once("## Layers\n").expect("a section on the layers");
    let listed: Vec<&str> = layers
        .lines()
        .skip_while(|line| !line.starts_with("    "))
        .take_while(|line| line.starts_with("    "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed, ORDER, "docs/architecture.md");
    let library = read("src/lib.rs");
    let rows = library.lines().filter_map(|line| line.strip_prefix("//! | ")?.split_once(" | "));
    let named = rows.map(|(module, _)| module.trim_matches(['[', ']', '`']));
    let listed: Vec<&str> = named.filter(|module| !["module", "---"].contains(module)).collect();
    assert_eq!(listed, ORDER, "src/lib.rs");
}

/// What each file imports from other files, by path.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// A module: its file, and the items of other modules that it re-exports.
#[derive(Default)]
struct Module {
    file: String,
    exports: BTreeMap<String, Vec<String>>,
}

/// The modules below a folder, by path.
struct Modules(BTreeMap<Vec<String>, Module>);

impl Modules {
    fn of(sources: &[Source], root: &str) -> Modules {
        let mut modules = BTreeMap::new();
        for source in sources {
            let path = module_path(&source.path, root);
            let exports = used_paths(&source.code)
                .into_iter()
                .filter(|used| used.is_public)
                .filter_map(|used| Some((used.path.last()?.clone(), absolute(&used.path, &path)?)))
                // By its own name, a macro becomes an item of its module.
                .filter(|(name, origin)| origin.split_last() != Some((name, path.as_slice())));
            let exports = exports.collect();
            modules.insert(path, Module { file: source.path.clone(), exports });
        }
        Modules(modules)
    }

    /// Returns the module of the item at this path: where it is defined, not where it is
    /// re-exported.
    fn find(&self, path: &[String]) -> Option<Vec<String>> {
        // Two modules that re-export each other's items would not compile, so this ends.
        let length = (1..=path.len()).rev().find(|length| self.0.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        match rest.first().and_then(|name| self.0[module].exports.get(name)) {
            Some(origin) => self.find(&[origin.as_slice(), &rest[1..]].concat()),
            None => Some(module.to_vec()),
        }
    }

    /// Finds the imports in `use` declarations. What a module uses of those above it in the tree
    /// does not count: a parent and its children are one unit, and a child sees the private items
    /// of its parent.
    fn imports(&self, sources: &[Source], root: &str) -> Imports {
        let mut imports = Imports::new();
        for source in sources {
            let own = module_path(&source.path, root);
            let used = used_paths(&source.code).into_iter().filter(|used| !used.is_public);
            let modules = used.filter_map(|used| self.find(&absolute(&used.path, &own)?));
            let others = modules.filter(|module| !own.starts_with(module));
            imports.insert(source.path.clone(), others.map(|module| self.0[&module].file.clone()).collect());
        }
        imports
    }
}

fn imports(sources: &[Source], root: &str) -> Imports {
    Modules::of(sources, root).imports(sources, root)
}

/// A path in a `use` declaration.
struct Used {
    path: Vec<String>,
    is_public: bool,
}

/// Returns every path in the `use` declarations, with groups expanded: `use a::{b, c::d};` has
/// `a::b` and `a::c::d`.
fn used_paths(code: &str) -> Vec<Used> {
    let (mut used, mut from) = (Vec::new(), 0);
    while let Some(at) = code[from..].find("use ").map(|at| from + at) {
        from = at + 4;
        // `pause ` in a text is not a declaration.
        if code[..at].ends_with(|c: char| !c.is_whitespace()) {
            continue;
        }
        let Some((tree, _)) = code[from..].split_once(';') else { break };
        let before = code[..at].trim_end();
        let scope = before.strip_suffix(')').and_then(|before| before.rsplit_once("pub("));
        let is_public =
            before.ends_with("pub") || scope.is_some_and(|(_, scope)| !scope.contains(['(', ';']));
        let mut paths = Vec::new();
        expand(tree, &[], &mut paths);
        used.extend(paths.into_iter().map(|path| Used { path, is_public }));
    }
    used
}

fn expand(tree: &str, before: &[String], paths: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let parts = |path: &str| -> Vec<String> {
        let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty() && *part != "self");
        parts.map(str::to_owned).collect()
    };
    match tree.split_once('{') {
        None => {
            let path = tree.split(" as ").next().unwrap_or_default();
            // `self` alone is the module itself; within a group it is the path before the group.
            let start = if before.is_empty() && path.starts_with("self::") {
                vec!["self".to_owned()]
            } else {
                vec![]
            };
            paths.push([before, &start, &parts(path)].concat());
        }
        Some((head, rest)) => {
            let start = if before.is_empty() && head.starts_with("self::") {
                vec!["self".to_owned()]
            } else {
                vec![]
            };
            let before = [before, &start, &parts(head)].concat();
            for item in split_group(rest.strip_suffix('}').unwrap_or(rest)) {
                expand(item, &before, paths);
            }
        }
    }
}

/// Splits `a, b::{c, d}` at the commas outside of braces.
fn split_group(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0_u32, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                items.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&group[start..]);
    items.into_iter().map(str::trim).filter(|item| !item.is_empty()).collect()
}

/// Returns the module of a file: `auth::passwords` for `src/auth/passwords.rs`, `auth` for
/// `src/auth/mod.rs`.
fn module_path(file: &str, root: &str) -> Vec<String> {
    let path = file.strip_prefix(root).unwrap_or(file).trim_start_matches('/').trim_end_matches(".rs");
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// Returns a path from the root of the crate. `None` if it has a `super` too many.
fn absolute(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let mut start = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "super" => module.split_last()?.1.to_vec(),
        "self" => module.to_vec(),
        // A child of this module, or another crate: no module here has the name of a crate.
        _ => return Some([module, path].concat()),
    };
    let mut rest = &path[1..];
    while rest.first().is_some_and(|part| part == "super") {
        start.pop();
        rest = &rest[1..];
    }
    Some([start, rest.to_vec()].concat())
}

/// Returns a cycle, if there is one: each file imports the next, and the last imports the first.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    fn visit(file: &str, imports: &Imports, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        if let Some(start) = way.iter().position(|earlier| earlier == file) {
            way.drain(..start);
            return true;
        }
        if !done.insert(file.to_owned()) {
            return false;
        }
        way.push(file.to_owned());
        for next in imports.get(file).into_iter().flatten() {
            if visit(next, imports, way, done) {
                return true;
            }
        }
        way.pop();
        false
    }
    let mut done = BTreeSet::new();
    for file in imports.keys() {
        let mut way = Vec::new();
        if visit(file, imports, &mut way, &mut done) {
            return Some(way);
        }
    }
    None
}

#[test]
fn no_files_import_each_other_in_a_cycle() {
    // Each of these is a separate crate.
    for root in [
        "src",
        "benches/costs",
        "benches/load",
        "benches/panel",
        "benches/raw_sqlite",
        "benches/upstream",
        "tests",
    ] {
        let imports = imports(&below(root), root);
        assert!(imports.values().any(|imported| !imported.is_empty()), "{root} has no imports");
        if let Some(cycle) = cycle(&imports) {
            panic!("these files import each other in a cycle: {}", cycle.join(" -> "));
        }
    }
}

#[test]
fn import_cycles_are_found_through_groups_re_exports_and_relative_paths() {
    let source = |path: &str, text: &str| Source::parse(path.to_owned(), text.to_owned());
    let sources = [
        source(
            "src/a/mod.rs",
            "mod one;\nmod two;\npub use one::X;\nuse crate::{b::{Y, y}, c as d};\nuse std::fmt;\n",
        ),
        source("src/a/one.rs", "use super::two::{self, Z};\nuse super::Own;\n"),
        source("src/a/two.rs", "// use super::one::X;\n"),
        source("src/b.rs", "use std::fmt;\nmacro_rules! y { () => {} }\npub(crate) use y;\n"),
        source("src/c.rs", "pub(crate) use crate::b::Y;\nuse crate::a::X;\n"),
    ];
    let straight = imports(&sources, "src");
    let of = |file: &str| straight[file].iter().cloned().collect::<Vec<_>>();
    assert_eq!(of("src/a/mod.rs"), ["src/b.rs", "src/c.rs"]);
    assert_eq!(of("src/a/one.rs"), ["src/a/two.rs"]);
    assert_eq!(of("src/c.rs"), ["src/a/one.rs"]);
    assert_eq!(cycle(&straight), None);
    let with = |text: &str| {
        let mut bent = sources.to_vec();
        bent[2] = source("src/a/two.rs", text);
        let mut files = cycle(&imports(&bent, "src")).unwrap();
        files.sort();
        files
    };
    let both = ["src/a/one.rs", "src/a/two.rs"];
    assert_eq!(with("use crate::a::one::X;\n"), both);
    assert_eq!(with("use super::X;\n"), both, "re-exported by the parent");
    assert_eq!(with("use crate::{c::{Y, X}};\n"), ["src/a/one.rs", "src/a/two.rs", "src/c.rs"]);
}
