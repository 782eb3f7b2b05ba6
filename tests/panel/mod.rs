//! The admin panel over the real routes, in the place of a browser.

mod first_run;
mod forgery;
mod routes;
mod sessions;
mod sign_in;
mod world;
