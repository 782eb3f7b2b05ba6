//! Checks for every page: axe-core finds nothing, the console is empty, and nothing overflows to
//! the side.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::visitor::{Screen, Visitor};

const AXE: &str = include_str!("../../vendor/axe-core/axe.min.js");

/// All rules for WCAG 2.2 AA, and axe-core's best practices. `target-size` is off by default.
const RUN_AXE: &str = r#"
    const [where, coloursOnly] = arguments;
    // Below the sticky bar, a link is half covered wherever the page happens to be scrolled to.
    if (!where) scrollTo(0, 0);
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
    const runOnly = coloursOnly
        ? {type: 'rule', values: ['color-contrast', 'link-in-text-block']}
        : {type: 'tag', values: tags};
    const options = {
        runOnly,
        rules: coloursOnly ? {} : {'target-size': {enabled: true}},
        resultTypes: ['violations'],
    };
    const shown = (node) => `\n    ${node.html.slice(0, 200)}\n    ${node.failureSummary}`;
    const described = (violation) =>
        `${violation.id}: ${violation.help}, ${violation.nodes.length} times, as in${violation.nodes.slice(0, 3).map(shown).join('')}`;
    return axe.run(where ? document.querySelector(where) : document, options).then(
        (results) => ({rules: results.passes.length, faults: results.violations.map(described)}),
        (error) => ({rules: 0, faults: [`axe-core failed: ${error}`]}));
"#;

/// Numbers the closed `<details>`, and returns how many there are.
const MARK_FOLDED: &str = r#"
    // A menu that this screen does not show cannot be opened.
    const isShown = (details) => details.getClientRects().length > 0;
    const folded = [...document.querySelectorAll('details:not([open])')].filter(isShown);
    folded.forEach((details, number) => { details.dataset.folded = number; });
    return folded.length;
"#;

/// Reports what overflows to the right, if the page is wider than the screen. Content of boxes that
/// scroll by themselves may overflow.
const OVERFLOWING: &str = r#"
    const width = arguments[0];
    const whole = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
    if (whole <= width) return [];
    const isInside = (element) => {
        for (let above = element.parentElement; above && above !== document.body; above = above.parentElement)
            if (getComputedStyle(above).overflowX !== 'visible') return true;
        return false;
    };
    const out = [...document.body.querySelectorAll('*')]
        .filter((element) => element.getBoundingClientRect().right > width + 0.5 && !isInside(element));
    const first = out.slice(0, 4).map((element) => element.outerHTML.slice(0, 160));
    return [`the page is ${whole} px wide on ${width} px\n    ${first.join('\n    ')}`];
"#;

/// Reports cells of lists whose time or state is cut, and open menus that something covers.
const CUT: &str = r#"
    const isCut = (cell) => cell.scrollWidth > cell.clientWidth + 1;
    const cut = [...document.querySelectorAll('.list td')]
        .filter((cell) => cell.querySelector('time, .badge') && isCut(cell))
        .map((cell) => `cut: ${cell.textContent.trim()}`);
    const covered = [...document.querySelectorAll('.menu[open] > :not(summary)')].flatMap((menu) => {
        const box = menu.getBoundingClientRect();
        const points = [0.2, 0.4, 0.6, 0.8].map((part) => [box.left + box.width / 2, box.top + box.height * part]);
        return points
            .filter(([x, y]) => y > 0 && y < innerHeight && x > 0 && x < innerWidth)
            .map(([x, y]) => document.elementFromPoint(x, y))
            .filter((top) => top && !menu.contains(top))
            .map((top) => `covered by ${top.outerHTML.slice(0, 100)}`);
    });
    return [...new Set([...cut, ...covered])];
"#;

/// Faults of the checked pages, each with the pages that have it.
#[derive(Default)]
pub struct Faults {
    found: BTreeMap<String, Vec<String>>,
    looks: usize,
}

impl Faults {
    fn add(&mut self, page: &str, faults: impl IntoIterator<Item = String>) {
        for fault in faults {
            self.found.entry(fault).or_default().push(page.to_owned());
        }
    }

    /// Runs axe-core on the open page. `how` describes the view, for the report.
    pub async fn check_access(&mut self, visitor: &Visitor, page: &str, how: &str) {
        self.run_axe(visitor, page, how, None, false).await;
    }

    /// Runs only the rules about colours, for another colour scheme.
    pub async fn check_colours(&mut self, visitor: &Visitor, page: &str, how: &str) {
        self.run_axe(visitor, page, how, None, true).await;
    }

    /// Runs axe-core inside each closed `<details>`, opened one at a time, because an open menu
    /// hides what is below it.
    pub async fn check_folded(&mut self, visitor: &Visitor, page: &str, how: &str) {
        let folded = visitor.run(MARK_FOLDED, vec![]).await.as_u64().unwrap_or_default();
        for number in 0..folded {
            let this = format!("[data-folded='{number}']");
            visitor.run("document.querySelector(arguments[0]).open = true", vec![json!(this)]).await;
            self.run_axe(visitor, page, how, Some(&this), false).await;
            visitor.run("document.querySelector(arguments[0]).open = false", vec![json!(this)]).await;
        }
    }

    async fn run_axe(
        &mut self,
        visitor: &Visitor,
        page: &str,
        how: &str,
        within: Option<&str>,
        colours_only: bool,
    ) {
        if visitor.run("return typeof axe === 'undefined'", vec![]).await == json!(true) {
            visitor.run(AXE, vec![]).await;
        }
        let results = visitor.run(RUN_AXE, vec![json!(within), json!(colours_only)]).await;
        assert!(results["rules"].as_u64() > Some(0) || !strings(&results["faults"]).is_empty(), "{results}");
        self.add(&format!("{page} ({how})"), strings(&results["faults"]));
        self.looks += 1;
    }

    /// Checks that the page does not scroll to the side (WCAG 1.4.10), and on a wide screen that
    /// no time or state of a list is cut and nothing covers an open menu.
    pub async fn check_width(&mut self, visitor: &Visitor, page: &str, screen: Screen) {
        let found = visitor.run(OVERFLOWING, vec![json!(screen.width())]).await;
        self.add(page, strings(&found));
        if screen == Screen::Wide {
            let found = visitor.run(CUT, vec![]).await;
            self.add(page, strings(&found));
        }
    }

    /// Counts a page that is only measured, without axe-core.
    pub fn count_measured(&mut self) {
        self.looks += 1;
    }

    /// Checks that the console is empty: no violation of the content security policy, no failing
    /// script, nothing that does not load. It may report the status of an error page, and the
    /// script that the test blocks.
    pub async fn check_console(&mut self, visitor: &Visitor, page: &str, status: Option<u16>) {
        let expected = status.map(|status| format!("the server responded with a status of {status} "));
        let is_expected = |entry: &String| {
            expected.as_ref().is_some_and(|text| entry.contains("/admin/") && entry.contains(text.as_str()))
                || entry.contains("/static/admin.")
                    && entry.contains(".js - Failed to load resource: net::ERR_BLOCKED_BY_CLIENT")
        };
        let entries = visitor.console().await.into_iter().filter(|entry| !is_expected(entry));
        self.add(page, entries.map(|entry| format!("the console says: {entry}")));
    }

    /// Fails the test if anything was found, or if fewer than `at_least` pages were checked.
    pub fn judge(self, at_least: usize) {
        assert!(self.looks >= at_least, "only {} pages were looked at", self.looks);
        let described = |(fault, pages): (&String, &Vec<String>)| format!("on {}: {fault}", pages.join(", "));
        let found: Vec<String> = self.found.iter().map(described).collect();
        assert!(found.is_empty(), "{} faults:\n\n{}", found.len(), found.join("\n\n"));
    }
}

fn strings(list: &Value) -> Vec<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("not a list: {list}"));
    list.iter().map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
}
