//! The API as its users see it.
