//! Money: races, random histories, and what `verify` finds.
