//! The panel in a real browser: headless Chromium, driven by chromedriver.

mod chat_pages;
mod chromium;
mod demo;
mod inspection;
mod keyboard;
mod page;
mod pages;
mod scripts;
mod tour;
mod visitor;
mod walk;
