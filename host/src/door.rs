//! How calls come in.
