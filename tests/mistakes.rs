//! Mistakes that other gates made.
