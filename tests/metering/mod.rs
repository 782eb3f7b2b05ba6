//! Money: charges, limits, idempotency, refunds, races, and random histories.

mod accounts;
mod charge_set;
mod histories;
mod idempotency;
mod limits;
mod many_rows;
mod races;
mod races_of_nodes;
mod refunds;
mod totals;
