//! The admin panel over the real routes, in the place of a browser.

mod anonymise;
mod bulk;
mod bulk_crash;
mod conflicts;
mod double_submits;
mod first_run;
mod follower;
mod forgery;
mod giants;
mod headers;
mod history;
mod limits;
mod lists;
mod models;
mod outcomes;
mod pages;
mod route_table;
mod routes;
mod scripts;
mod searches;
mod sessions;
mod sign_in;
mod small_things;
mod world;
