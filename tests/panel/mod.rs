//! The admin panel over the real routes, in the place of a browser.

mod bulk;
mod bulk_crash;
mod conflicts;
mod double_submits;
mod first_run;
mod forgery;
mod routes;
mod scripts;
mod sessions;
mod sign_in;
mod world;
