//! The panel in a real browser: headless Chromium, driven by chromedriver.

mod backups;
mod chat_pages;
mod chromium;
mod demo;
mod density;
mod home;
mod inspection;
mod jobs;
mod keyboard;
mod page;
mod pages;
mod palette;
mod reference;
mod scripts;
mod sizes;
mod start_page;
mod tour;
mod visitor;
mod walk;
