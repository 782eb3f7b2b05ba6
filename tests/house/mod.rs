//! What keeps the house in order: rules of the structure that the compiler does not check.
